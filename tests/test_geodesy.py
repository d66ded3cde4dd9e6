"""Oracle: `pyproj.Geod`, which measures along geodesics of the ellipsoid."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import from_origin

from geoseg.geodesy import area_rule, centre, crs_fault, extent, ground_sampling, places_pixels
from geoseg.vector.polygonize import to_crs

PIXELS = np.array(
    [shapely.box(3, 4, 40, 9) - shapely.box(10, 5, 12, 8), shapely.box(0, 0, 1, 1)], object
)
COUNTS = np.array([37 * 5 - 2 * 3, 1])
US_FOOT = 1200 / 3937
SITE = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048]]')
OFF_SCALE = {
    "web mercator": ("EPSG:3857", 9.0, 60.0),
    "web mercator at the equator": ("EPSG:3857", 9.0, 0.1),
    "web mercator of ESRI": ("ESRI:102100", 9.0, -47.0),
    "world mercator": ("EPSG:3395", 85.0, 60.0),
    "Caspian mercator": ("EPSG:3388", 51.0, 37.0),
    "mercator 41": ("EPSG:3994", 170.0, -45.0),
    "UTM far outside its zone": ("EPSG:32632", 20.0, 48.0),
}
"""Coordinate systems whose metres are none on the ground, and a place in degrees."""
TRUE_TO_SCALE = {
    "UTM": ("EPSG:32632", 8.0, 48.0, 1.0),
    "UTM at the edge of its zone": ("EPSG:32632", 12.0, 1.0, 1.0),
    "UTM with heights": ("EPSG:5555", 8.0, 48.0, 1.0),
    "world mercator at the equator": ("EPSG:3395", 85.0, 1.0, 1.0),
    "Brazil mercator at its parallel": ("EPSG:5641", -43.0, -2.5, 1.0),
    "US feet": ("EPSG:2263", -73.8, 40.7, US_FOOT),
    "equal-area, far from its centre": ("EPSG:3035", 30.0, 65.0, 1.0),
}
"""The metres of a unit come last."""


def grid(crs: str, longitude: float, latitude: float, pixel: float = 0.3) -> Affine:
    """The transform of a raster whose upper left corner lies there."""
    place = pyproj.CRS(crs)
    move = pyproj.Transformer.from_crs(place.geodetic_crs, place, always_xy=True)
    x, y = move.transform(longitude, latitude)[:2]
    return from_origin(x, y, pixel, pixel)


def areas(crs: CRS | str | None, transform: Affine) -> np.ndarray:
    crs = CRS.from_string(crs) if isinstance(crs, str) else crs
    return area_rule(transform, crs, 10, 40).areas(to_crs(PIXELS, transform), COUNTS)


def geodesic(crs: str, transform: Affine) -> list[float]:
    """Square metres of the same polygons as pyproj measures them."""
    to_geographic = pyproj.Transformer.from_crs(crs, pyproj.CRS(crs).geodetic_crs, always_xy=True)
    moved = shapely.transform(
        to_crs(PIXELS, transform), lambda xy: np.column_stack(to_geographic.transform(*xy.T))
    )
    geod = pyproj.CRS(crs).get_geod()
    return [
        abs(geod.geometry_area_perimeter(shapely.orient_polygons(polygon))[0]) for polygon in moved
    ]


def pixel_sides(crs: str, transform: Affine, height: int, width: int) -> tuple[float, float]:
    """Metres across and down the pixel at a raster's centre, along geodesics."""
    geographic = pyproj.CRS(crs).geodetic_crs
    move = pyproj.Transformer.from_crs(crs, geographic, always_xy=True)
    geod, sides = geographic.get_geod(), []
    for across, down in ((0.5, 0.0), (0.0, 0.5)):
        ends = [
            move.transform(*(transform @ (width / 2 + sign * across, height / 2 + sign * down)))
            for sign in (-1, 1)
        ]
        sides.append(geod.inv(*ends[0], *ends[1])[2])
    return sides[0], sides[1]


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(1e-6, 0, 8.0, 0, -1e-6, 48.0)),
        ("EPSG:4326", Affine(1e-5, 2e-6, -70.0, 3e-6, -1e-5, -33.0)),
        ("EPSG:4326", Affine(1e-4, 0, 20.0, 0, -1e-4, 1e-3)),
        ("EPSG:4326", Affine(1e-5, 0, 20.0, 0, 1e-5, 85.0)),
        ("EPSG:4979", Affine(1e-6, 0, 8.0, 0, -1e-6, 48.0)),
        *((crs, grid(crs, *place, 3.0)) for crs, *place in OFF_SCALE.values()),
        ("EPSG:3857", Affine(10.0, 0, 9e5, 0, -10.0, -8e6)),
    ],
)
def test_areas_in_degrees_and_off_scale_are_those_on_the_ellipsoid(
    crs: str, transform: Affine
) -> None:
    np.testing.assert_allclose(areas(crs, transform), geodesic(crs, transform), rtol=2e-6)


@pytest.mark.parametrize("turned", [Affine.identity(), Affine.rotation(30)])
@pytest.mark.parametrize(
    ("crs", "longitude", "latitude", "metres"), TRUE_TO_SCALE.values(), ids=TRUE_TO_SCALE.keys()
)
def test_other_areas_are_planar_in_square_metres(
    crs: str, longitude: float, latitude: float, metres: float, turned: Affine
) -> None:
    transform = grid(crs, longitude, latitude, 0.5) @ turned
    found = areas(crs, transform)
    np.testing.assert_allclose(found, COUNTS * 0.25 * metres**2, rtol=1e-12)
    np.testing.assert_allclose(found, geodesic(crs, transform), rtol=5e-3)


def test_areas_of_a_site_grid_are_planar_in_its_unit() -> None:
    np.testing.assert_allclose(areas(SITE, Affine.scale(0.5)), COUNTS * 0.25 * 0.3048**2)


@pytest.mark.parametrize(
    ("latitude", "pixel", "planar"),
    [
        # World mercator: areas are 0.5 % too large at 4.04 degrees. The pixel decides, not the
        # region.
        (3.9, 1.0, True),
        (4.2, 1.0, False),
        (3.9, 1000.0, False),
    ],
)
def test_half_a_percent_anywhere_in_the_raster_decides(
    latitude: float, pixel: float, planar: bool
) -> None:
    transform = grid("EPSG:3395", 9.0, latitude, pixel) @ Affine.scale(1, -1)
    rule = area_rule(transform, CRS.from_epsg(3395), 100, 10)
    squares = to_crs(np.array([shapely.box(0, 0, 1, 1)], object), transform)
    exact = rule.areas(squares, np.ones(1, np.int64))[0] == pixel**2
    assert exact == planar


@pytest.mark.parametrize("corner", [(0, 0), (0, 9), (9, 0), (9, 9)])
def test_each_corner_of_the_raster_is_looked_at(corner: tuple[int, int]) -> None:
    row, col = corner
    # UTM is off by 0.5 % some 4.5 degrees from its meridian, by more beyond it.
    transform = grid("EPSG:32632", 12.5, 0.5, 20_000.0) @ Affine.scale(1 if col else -1, 1)
    rule = area_rule(transform @ Affine.translation(0, -row), CRS.from_epsg(32632), 10, 10)
    square = to_crs(np.array([shapely.box(0, 0, 1, 1)], object), transform)
    exact = rule.areas(square, np.ones(1, np.int64))[0] == 20_000.0**2
    assert exact == (not col)


def test_grades_are_not_degrees() -> None:
    grades = Affine(1e-6, 0, 2.0, 0, -1e-6, 50.0)
    degrees = Affine.scale(0.9) @ grades
    np.testing.assert_allclose(
        areas("EPSG:4901", grades)[1], areas("EPSG:4326", degrees)[1], rtol=1e-3
    )


def test_areas_on_a_sphere_follow_its_formula() -> None:
    sphere = CRS.from_proj4("+proj=longlat +R=6371000 +no_defs")
    quad = np.array([shapely.box(10, 20, 12, 25)], object)
    expected = 6_371_000**2 * np.radians(2) * (np.sin(np.radians(25)) - np.sin(np.radians(20)))
    rule = area_rule(Affine.identity(), sphere, 1, 1)
    np.testing.assert_allclose(rule.areas(quad, np.ones(1, int)), expected, rtol=1e-11)


def test_areas_of_the_pixels_of_a_region_add_up_to_its_area() -> None:
    rule = area_rule(Affine.identity(), CRS.from_epsg(4326), 1, 1)
    cells = np.array(
        [shapely.box(col, row, col + 1, row + 1) for col in range(5) for row in range(40, 60)],
        object,
    )
    together = np.array([shapely.box(0, 40, 5, 60)], object)
    np.testing.assert_allclose(
        rule.areas(cells, np.ones(100, int)).sum(), rule.areas(together, COUNTS[:1]), rtol=1e-11
    )


def test_a_polygon_across_the_date_line_is_not_torn() -> None:
    rule = area_rule(from_origin(179.0, 10.0, 0.1, 0.1), CRS.from_epsg(4326), 20, 20)
    across, before = (
        np.array([shapely.box(west, 8, west + 1, 9)], object) for west in (179.5, 178.5)
    )
    one = np.ones(1, np.int64)
    np.testing.assert_allclose(rule.areas(across, one), rule.areas(before, one), rtol=1e-12)


def test_where_a_projection_has_no_ground_the_plane_is_measured() -> None:
    nowhere = from_origin(9e9, 9e9, 1.0, 1.0)
    assert areas("EPSG:32632", nowhere).tolist() == COUNTS.tolist()
    assert ground_sampling(nowhere, CRS.from_epsg(32632), 10, 10) == 1.0


def test_where_all_places_are_one_the_plane_is_measured() -> None:
    shifted = CRS.from_epsg(32632).to_wkt().replace('"False northing",0', '"False northing",1e20')
    shifted = shifted.replace('"false_northing",0', '"false_northing",1e20')
    crs, grid = CRS.from_wkt(shifted), from_origin(5e5, 54e5, 0.5, 0.5)
    assert "1e" in crs.to_wkt().lower()
    assert ground_sampling(grid, crs, 10, 10) == 0.5
    assert areas(crs, grid).tolist() == (COUNTS / 4).tolist()


@pytest.mark.parametrize("latitude", [100.0, 5e6, -1e300])
def test_beyond_the_poles_nothing_is_known_of_the_ground(latitude: float) -> None:
    beyond = from_origin(9.0, latitude, 1e-4, 1e-4)
    assert ground_sampling(beyond, CRS.from_epsg(4326), 10, 10) is None


PLACING = {
    "UTM": from_origin(5e5, 54e5, 0.5, 0.5),
    "0.1 mm in UTM": from_origin(5e5, 54e5, 1e-4, 1e-4),
    "1 mm in degrees": from_origin(180.0, 89.0, 1e-8, 1e-8),
    "south up": Affine(1, 0, 5e5, 0, 1, 54e5),
    "rotated": Affine.translation(5e5, 54e5) @ Affine.rotation(30),
    "none": Affine.identity(),
}
PLACING_NOTHING = {
    "NaN": Affine(math.nan, 0, 5e5, 0, -0.5, 54e5),
    "infinite": Affine(0.5, 0, math.inf, 0, -0.5, 54e5),
    "no width": Affine(0, 0, 5e5, 0, -0.5, 54e5),
    "columns on top of one another": Affine(3.7e-155, 0, 5e5, 0, -0.5, 54e5),
    "rows on top of one another": from_origin(5e5, 54e5, 0.5, 1e-10),
    "sheared without end": Affine(0.5, 0, 5e5, 1e20, -0.5, 54e5),
    "too far to count": from_origin(5e5, 1e300, 1e10, 0.5),
    "too large to count": from_origin(0, 0, 1e200, 1e200),
}


@pytest.mark.parametrize("transform", PLACING.values(), ids=PLACING)
def test_pixels_that_can_be_told_apart_are_placed(transform: Affine) -> None:
    assert places_pixels(transform, 20_000, 30_000)


@pytest.mark.parametrize("transform", PLACING_NOTHING.values(), ids=PLACING_NOTHING)
def test_pixels_that_cannot_be_told_apart_are_not_placed(transform: Affine) -> None:
    assert not places_pixels(transform, 48, 64)


UTM_TEXT = CRS.from_epsg(32632).to_wkt()
FAULTY = {
    "a scale of 0": UTM_TEXT.replace('"scale_factor",0.9996', '"scale_factor",0'),
    "an unknown projection": UTM_TEXT.replace("Transverse_Mercator", "Transverse_Mer#ator"),
    "a unit without size": UTM_TEXT.replace('UNIT["metre",1', 'UNIT["metre",0'),
    "degrees without size": 'GEOGCS["x",DATUM["x",SPHEROID["x",6378137,298]],'
    'PRIMEM["Greenwich",0],UNIT["Degree",0]]',
}


@pytest.mark.parametrize("text", FAULTY.values(), ids=FAULTY)
def test_what_proj_cannot_compute_with_has_a_fault_in_one_line(text: str) -> None:
    fault = crs_fault(CRS.from_wkt(text))
    assert fault
    assert "\n" not in fault


@pytest.mark.parametrize("crs", [*(crs for crs, *_ in TRUE_TO_SCALE.values()), "EPSG:4978"])
def test_coordinate_systems_of_the_earth_have_no_fault(crs: str) -> None:
    assert crs_fault(CRS.from_string(crs)) == ""
    assert crs_fault(pyproj.CRS(crs)) == ""


def test_a_site_grid_has_no_fault() -> None:
    assert crs_fault(SITE) == ""


def test_without_crs_there_is_no_area() -> None:
    assert np.isnan(areas(None, Affine.identity())).all()


def test_no_polygons_have_no_areas() -> None:
    rule = area_rule(Affine.identity(), CRS.from_epsg(4326), 1, 1)
    assert rule.areas(np.zeros(0, object), np.zeros(0, int)).size == 0


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude", "metres"), TRUE_TO_SCALE.values(), ids=TRUE_TO_SCALE.keys()
)
def test_ground_sampling_is_the_pixel_size_where_the_crs_is_true_to_scale(
    crs: str, longitude: float, latitude: float, metres: float
) -> None:
    transform = grid(crs, longitude, latitude, 0.2)
    found = ground_sampling(transform, CRS.from_string(crs), 100, 120)
    assert found == pytest.approx(0.2 * metres, rel=1e-12)
    assert found == pytest.approx(math.sqrt(math.prod(pixel_sides(crs, transform, 100, 120))), 3e-3)


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude"),
    [*OFF_SCALE.values(), ("EPSG:4326", 3.0, 45.0), ("EPSG:4326", 3.0, -60.0)],
)
def test_ground_sampling_off_scale_is_measured_along_geodesics_at_the_centre(
    crs: str, longitude: float, latitude: float
) -> None:
    pixel = 1e-5 if crs == "EPSG:4326" else 1.0
    transform = grid(crs, longitude, latitude, pixel) @ Affine.scale(1, 3)
    sides = pixel_sides(crs, transform, 9000, 4000)
    found = ground_sampling(transform, CRS.from_string(crs), 9000, 4000)
    assert found == pytest.approx(math.sqrt(math.prod(sides)), rel=1e-5)


def test_rotated_and_south_up_pixels_keep_their_size() -> None:
    rotated = Affine.translation(5e5, 54e5) @ Affine.rotation(30) @ Affine.scale(0.5, 0.5)
    assert ground_sampling(rotated, CRS.from_epsg(32632), 10, 10) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    "crs", [None, SITE, CRS.from_epsg(4978)], ids=["none", "site", "geocentric"]
)
def test_without_a_crs_or_with_a_local_one_nothing_is_known_of_the_ground(crs: CRS | None) -> None:
    assert ground_sampling(from_origin(0, 0, 1, 1), crs, 10, 10) is None


@pytest.mark.parametrize("name", OFF_SCALE)
def test_the_extent_is_what_a_geodesic_measures(name: str) -> None:
    crs, x, y = OFF_SCALE[name]
    known = pyproj.CRS(crs)
    to_plane = pyproj.Transformer.from_crs(known.geodetic_crs, known, always_xy=True)
    left, top = to_plane.transform(x, y)
    transform = from_origin(left, top, 0.5, 0.5)
    rows, cols = 600, 800
    corners = [transform @ place for place in ((0, 300), (800, 300), (400, 0), (400, 600))]
    degrees = [to_plane.transform(*corner, direction="INVERSE") for corner in corners]
    geod = known.get_geod()
    lengths = [geod.inv(*degrees[at], *degrees[at + 1])[2] for at in (0, 2)]
    assert extent(transform, CRS.from_user_input(crs), rows, cols) == pytest.approx(lengths)


def test_the_extent_of_a_true_plane_is_the_planes_in_metres() -> None:
    feet = CRS.from_epsg(2263)
    assert extent(from_origin(1e6, 2e5, 1, 2), feet, 30, 40) == pytest.approx(
        (40 * US_FOOT, 60 * US_FOOT)
    )
    turned = from_origin(5e5, 5.4e6, 0.5, 0.5) @ Affine.rotation(30)
    assert extent(turned, CRS.from_epsg(32632), 30, 40) == pytest.approx((20, 15))


def test_extent_and_centre_need_a_place_on_the_ground() -> None:
    grid = from_origin(0, 0, 1, 1)
    assert extent(grid, None, 3, 4) is extent(grid, SITE, 3, 4) is None
    assert centre(grid, None, 3, 4) is centre(grid, SITE, 3, 4) is None


def test_the_centre_is_in_degrees() -> None:
    grid = from_origin(8.0, 48.0, 0.001, 0.001)
    assert centre(grid, CRS.from_epsg(4326), 200, 400) == pytest.approx((8.2, 47.9))
