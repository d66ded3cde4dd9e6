"""The oracle: a pixel is drawn where its centre, brought to the polygons' CRS, is inside one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize

from geoseg.errors import VectorError
from geoseg.vector.charts import Grid
from geoseg.vector.placement import Placed, place
from geoseg.vector.read import Features

SIDE = 48


def features(polygons: list[Any], crs: str = "EPSG:4326") -> Features:
    parts, owner = shapely.get_parts(np.array(polygons, object), return_index=True)
    count, known = len(polygons), pyproj.CRS.from_user_input(crs)
    return Features(Path("a.gpkg"), count, count, parts, owner, None, known, {})


def grid_at(crs: str, lon: float, lat: float, pixel: float, height: int = SIDE) -> Grid:
    """A grid of 48 columns about a place on the ground, with pixels in units of its CRS."""
    known = pyproj.CRS.from_user_input(crs)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", known, always_xy=True).transform(lon, lat)
    corner = x - pixel * SIDE / 2, y + pixel * height / 2
    return Grid.of(Affine(pixel, 0, corner[0], 0, -pixel, corner[1]), known, height, SIDE)


def drawn(placed: Placed, grid: Grid) -> np.ndarray:
    out = np.zeros((grid.height, grid.width), np.int32)
    if len(placed.polygons):
        rasterize(
            zip(placed.polygons, (placed.feature + 1).tolist(), strict=True),
            out=out,
            transform=Affine.identity(),
        )
    return out


def expected(found: Features, grid: Grid, off: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The last feature that holds each pixel's centre, moved by a part of a pixel; 0 for none."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    x, y = grid.transform @ (cols + off[0], rows + off[1])
    move = pyproj.Transformer.from_crs(grid.crs, found.crs, always_xy=True)
    x, y = move.transform(x, y)
    turn = 360.0 if found.crs.is_geographic else 2 * 20_037_508.342789244
    out = np.zeros(x.shape, np.int32)
    for polygon, owner in zip(found.polygons, found.feature, strict=True):
        for shift in (-turn, 0, turn):
            out[shapely.contains_xy(polygon, x + shift, y)] = owner + 1
    return out


def check(found: Features, grid: Grid) -> np.ndarray:
    """Pixels whose centre is not on a border are drawn as the oracle says."""
    result = drawn(place(found, grid), grid)
    truth = expected(found, grid)
    near = [(0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2)]
    sure = np.all([expected(found, grid, off) == truth for off in near], axis=0)
    assert sure.mean() > 0.7
    np.testing.assert_array_equal(result[sure], truth[sure])
    return truth


def world() -> list[Any]:
    """Land in wavy outlines, an ocean on both sides of the 180th meridian, and both poles."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    wave = 1 + 0.25 * np.sin(7 * angle) + 0.1 * np.cos(23 * angle)
    lands = [
        shapely.Polygon(
            np.column_stack([x + w * wave * np.cos(angle), y + h * wave * np.sin(angle)])
        )
        for x, y, w, h in [
            (60, 62, 90, 12),
            (10, 48, 7, 6),
            (20, 5, 25, 25),
            (-100, 45, 40, 15),
            (-60, -15, 18, 25),
            (134, -25, 18, 11),
            (105, 30, 25, 15),
            (-42, 73, 15, 9),
        ]
    ]
    pacific = shapely.MultiPolygon(
        [shapely.box(160, -50, 180, 40), shapely.box(-180, -50, -120, 40)]
    )
    chukotka = shapely.MultiPolygon(
        [shapely.box(170, 60, 180, 70), shapely.box(-180, 60, -170, 70)]
    )
    south = shapely.Polygon(
        [(-180, -90), (-180, -72), (-60, -75), (60, -68), (180, -72), (180, -90)]
    )
    north = shapely.box(-180, 84, 180, 90)
    return [pacific, *lands, chukotka, south, north]


PLACES = [
    ("EPSG:32632", 9, 48, 10_000.0),
    ("EPSG:32632", 15, 62, 2_000.0),
    ("EPSG:25832", 8, 47, 500.0),
    ("EPSG:2154", 2, 47, 20_000.0),
    ("EPSG:3035", 10, 52, 80_000.0),
    ("EPSG:3857", 0, 60, 100_000.0),
    ("EPSG:3857", 0, 0, 800_000.0),
    ("EPSG:4326", 0, 0, 3.0),
    ("EPSG:4326", 179, 65, 0.5),
    ("EPSG:4326", 180, 0, 2.0),
    ("EPSG:4269", -100, 50, 1.0),
    ("EPSG:32601", -179.9, 64, 10_000.0),
    ("EPSG:32760", 179.9, -40, 20_000.0),
    ("EPSG:3832", 180, 0, 300_000.0),
    ("EPSG:3994", -170, -45, 60_000.0),
    ("EPSG:3031", 0, -90, 100_000.0),
    ("EPSG:3031", 170, -72, 20_000.0),
    ("EPSG:3995", 0, 90, 80_000.0),
    ("EPSG:3413", 179, 66, 20_000.0),
    ("EPSG:3408", -100, 80, 50_000.0),
    ("EPSG:5070", -96, 40, 60_000.0),
    ("EPSG:3577", 134, -25, 60_000.0),
    ("ESRI:54030", 0, 0, 300_000.0),
    ("ESRI:54009", 150, 20, 40_000.0),
    ("EPSG:32661", 30, 89, 10_000.0),
    ("EPSG:2193", 175, -40, 20_000.0),
    ("+proj=robin +lon_0=150 +type=crs", 150, 0, 300_000.0),
    ("+proj=laea +lat_0=0 +lon_0=180 +type=crs", 180, 0, 120_000.0),
]


def stars(centre: tuple[float, float], reach: float, seed: int, crossing: bool) -> list[Any]:
    """Polygons of some corners about a place; with `crossing`, corners in a random order."""
    rng = np.random.default_rng(seed)
    polygons = []
    for _ in range(4):
        angle = rng.uniform(0, 2 * np.pi, rng.integers(3, 9))
        if not crossing:
            angle = np.sort(angle)
        radius = reach * rng.uniform(0.05, 1.5, len(angle))
        middle = np.array(centre) + reach * rng.uniform(-0.5, 0.5, 2)
        corners = middle + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        polygons.append(shapely.Polygon(corners))
    return polygons


@pytest.mark.parametrize("labels", ["EPSG:4326", "0..360", "EPSG:3857"])
@pytest.mark.parametrize("where", PLACES, ids=lambda where: f"{where[0]} {where[1:]}")
def test_a_world_of_polygons_is_drawn_exactly_everywhere(
    where: tuple[str, float, float, float], labels: str
) -> None:
    polygons = world()
    if labels == "0..360":
        parts = shapely.get_parts(polygons)
        west = shapely.bounds(parts)[:, 2] <= 0
        east = shapely.bounds(parts)[:, 0] >= 0
        polygons = [
            shapely.transform(part, lambda p: p + np.array([360, 0])) for part in parts[west]
        ]
        polygons += list(parts[east])
    found = features(polygons)
    if labels == "EPSG:3857":
        flat = shapely.intersection(found.polygons, shapely.box(-180, -85, 180, 85))
        move = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
        flat = shapely.transform(
            shapely.segmentize(flat[~shapely.is_empty(flat)], 1.0),
            lambda points: np.column_stack(move.transform(*points.T)),
        )
        found = features(list(flat), labels)
    truth = check(found, grid_at(*where))
    assert truth.any() or labels != "EPSG:4326"


@pytest.mark.parametrize(
    ("labels", "raster"),
    [
        ("EPSG:32632", ("EPSG:4326", 10, 50, 0.001)),
        ("EPSG:32632", ("EPSG:3857", 10, 50, 100.0)),
        ("EPSG:32632", ("EPSG:25833", 12, 50, 100.0)),
        # PROJ chooses among operations for each point, which takes long.
        pytest.param("EPSG:31467", ("EPSG:25832", 10, 50, 10.0), marks=pytest.mark.slow),
        ("EPSG:4807", ("EPSG:2154", 3, 47, 1000.0)),
        ("EPSG:25832+7837", ("EPSG:4258", 10, 50, 0.001)),
        ("EPSG:3995", ("EPSG:3413", 30, 89.8, 3000.0)),
        ("EPSG:3413", ("EPSG:32661", 0, 90, 3000.0)),
        ("EPSG:3031", ("EPSG:32760", 179, -78, 1000.0)),
        ("EPSG:32760", ("EPSG:4326", 179.9, -40, 0.02)),
        ("EPSG:3832", ("EPSG:32601", -179.9, 40, 1000.0)),
        ("EPSG:2193", ("EPSG:3832", 178, -38, 500.0)),
        pytest.param("EPSG:3035", ("EPSG:2154", 3, 47, 1000.0), marks=pytest.mark.slow),
        ("EPSG:2263", ("EPSG:26918", -74, 40.7, 5.0)),
        (
            "+proj=tmerc +lon_0=9 +k=1 +x_0=3500000 +ellps=bessel +towgs84=598,73,418,0,0,0,0",
            ("EPSG:25832", 10, 50, 10.0),
        ),
    ],
)
@given(seed=st.integers(0, 2**32 - 1), reach=st.sampled_from([0.3, 1.0, 4.0]), cross=st.booleans())
def test_random_polygons_of_any_system_are_drawn_exactly(
    labels: str, raster: tuple[str, float, float, float], seed: int, reach: float, cross: bool
) -> None:
    grid = grid_at(*raster)
    own = pyproj.CRS.from_user_input(labels)
    middle = grid.transform @ (SIDE / 2, SIDE / 2)
    move = pyproj.Transformer.from_crs(grid.crs, own, always_xy=True)
    centre = move.transform(*middle)
    beside = move.transform(middle[0], middle[1] + raster[3] * SIDE)
    size = float(np.hypot(*np.subtract(beside, centre)))
    check(features(stars(centre, reach * size, seed, cross), labels), grid)


def test_a_system_without_a_place_on_the_ground_is_refused() -> None:
    site = pyproj.CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    box = shapely.box(0, -40, 20, 0)
    grid = Grid.of(Affine(1, 0, 0, 0, -1, 0), site, SIDE, SIDE)
    with pytest.raises(VectorError, match=r"polygons in EPSG:4326 cannot be brought to site; save"):
        place(features([box]), grid)
    there = place(features([box], site.to_wkt()), grid)
    assert there.polygons[0].bounds == (0, 0, 20, 40)


def test_what_reaches_beyond_the_raster_is_told_from_what_fills_it() -> None:
    grid = Grid.of(Affine(1, 0, 500_000, 0, -1, 5_000_048), pyproj.CRS(32632), SIDE, SIDE)
    boxes = [
        shapely.box(500_000, 5_000_000, 500_048, 5_000_048),
        shapely.box(500_010, 5_000_010, 500_049, 5_000_020),
        shapely.box(500_049, 5_000_010, 500_060, 5_000_020),
    ]
    found = place(features(boxes, "EPSG:32632"), grid)
    assert (found.feature.tolist(), found.beyond.tolist()) == ([0, 1], [False, True])


def test_later_features_stay_on_top_across_the_180th_meridian() -> None:
    below, above = shapely.box(178, -1, 180, 1), shapely.box(-180, -1, -179, 1)
    grid = grid_at("EPSG:4326", 180, 0, 0.1)
    for boxes in ([below, above, shapely.box(179, 0, 182, 1)], [above, below]):
        check(features(boxes), grid)


def test_a_raster_outside_its_own_projection_is_refused() -> None:
    grid = Grid.of(Affine(1e6, 0, 9e9, 0, -1e6, 9e9), pyproj.CRS("ESRI:54009"), SIDE, SIDE)
    with pytest.raises(VectorError, match=r"48 x 48 pixels lies where its coordinate system, ESRI"):
        place(features([shapely.box(0, 0, 1, 1)]), grid)
