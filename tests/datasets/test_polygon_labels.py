from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from rasterio.features import rasterize

from geoseg.classes import ClassScheme
from geoseg.datasets.polygon_labels import PolygonLabels
from geoseg.errors import ConfigError, SourceError, VectorError
from geoseg.raster import open_raster
from geoseg.tiling import Window

BUILDINGS = ClassScheme.from_names(["background", "building"])
LAND = ClassScheme(("grass", "road"), ((0, 255, 0), (90, 90, 90)), ((3,), (7, 8)), (255, 99))


def save(path: Path, shapes: list[Any], crs: str = "EPSG:4326", **columns: Any) -> Path:
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32632").to_crs(crs).to_file(path)
    return path


def boxes() -> list[Any]:
    """Two overlapping houses and one that reaches beyond the raster, in metres of its grid (half a metre a pixel)."""
    corners = [(3, 4, 15, 14), (10, 8, 25, 20), (30, 20, 60, 40)]
    return [
        shapely.box(500_000 + w, 5_400_000 - s, 500_000 + e, 5_400_000 - n)
        for w, n, e, s in corners
    ]


@pytest.mark.parametrize(
    ("name", "crs"),
    [
        *(
            (name, crs)
            for name in ("houses.gpkg", "houses.shp")
            for crs in ("EPSG:4326", "EPSG:32632", "EPSG:3857")
        ),
        ("houses.geojson", "EPSG:4326"),
    ],
)
def test_polygons_in_any_system_burn_as_rasterio_burns_them_whole(
    make_raster: Callable[..., Path], tmp_path: Path, name: str, crs: str
) -> None:
    image = open_raster(make_raster())
    labels = PolygonLabels(save(tmp_path / name, boxes(), crs), image, BUILDINGS, None)
    expected = rasterize(
        [(box, 1) for box in boxes()], (64, 80), transform=image.transform, dtype="uint8"
    )
    found = np.vstack(
        [labels.read(Window(r, 0, 16, 80), np.ones((16, 80), bool)) for r in range(0, 64, 16)]
    )
    assert len(labels) == 3
    assert (found == expected).mean() > 0.999  # a corner may move by a rounding of the projection
    if crs == "EPSG:32632":
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["houses.gpkg", "houses.shp"])
def test_polygons_that_were_edited_are_read_anew(
    make_raster: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    image = open_raster(make_raster())
    assert len(PolygonLabels(save(tmp_path / name, boxes()), image, BUILDINGS, None)) == 3
    assert len(PolygonLabels(save(tmp_path / name, boxes()[:1]), image, BUILDINGS, None)) == 1


def test_windows_give_what_the_whole_gives(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    labels = PolygonLabels(save(tmp_path / "a.gpkg", boxes()), image, BUILDINGS, None)
    whole = labels.read(Window(0, 0, 64, 80), np.ones((64, 80), bool))
    for row, col, height, width in [
        (0, 0, 13, 31),
        (9, 17, 40, 22),
        (50, 60, 14, 20),
        (0, 79, 64, 1),
    ]:
        part = labels.read(Window(row, col, height, width), np.ones((height, width), bool))
        np.testing.assert_array_equal(part, whole[row : row + height, col : col + width])


def test_an_attribute_names_the_class_and_the_later_polygon_wins(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes(), "EPSG:32632", kind=["Grass", "8", "99"])
    labels = PolygonLabels(path, image, LAND, "kind").read(
        Window(0, 0, 64, 80), np.ones((64, 80), bool)
    )
    values = [0, 1, 255]
    expected = rasterize(
        zip(boxes(), values, strict=True), (64, 80), fill=255, transform=image.transform
    )
    np.testing.assert_array_equal(
        labels, expected
    )  # without a class "background" the rest has no label


def test_numbers_name_classes_also_where_gaps_made_them_floats(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes()[:2], "EPSG:32632", value=[3.0, 7.0])
    labels = PolygonLabels(path, image, LAND, "value").read(
        Window(0, 0, 64, 80), np.ones((64, 80), bool)
    )
    assert set(np.unique(labels)) == {0, 1, 255}


def test_where_the_image_shows_nothing_there_is_no_label(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    labels = PolygonLabels(save(tmp_path / "a.gpkg", boxes()), image, BUILDINGS, None)
    assert (labels.read(Window(0, 0, 64, 80), np.zeros((64, 80), bool)) == 255).all()


def test_bad_polygons_are_one_clear_line(make_raster: Callable[..., Path], tmp_path: Path) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes(), kind=["grass", "shed", "shed"])
    with pytest.raises(
        VectorError,
        match=r"'kind' holds 'shed' \(2 polygons\), which is no class; the classes are grass",
    ):
        PolygonLabels(path, image, LAND, "kind")
    with pytest.raises(VectorError, match="has no attribute 'klass'; choose one of kind"):
        PolygonLabels(path, image, LAND, "klass")
    with pytest.raises(
        ConfigError, match=r"2 classes \(grass, road\) and polygons of one kind; name the attribute"
    ):
        PolygonLabels(path, image, LAND, None)
    placeless = save(tmp_path / "b.shp", boxes())
    placeless.with_suffix(".prj").unlink()
    with pytest.raises(
        VectorError, match=r"names no coordinate system; add it \(a .prj beside a Shapefile\)"
    ):
        PolygonLabels(placeless, image, BUILDINGS, None)
    (tmp_path / "c.gpkg").write_text("nothing")
    with pytest.raises(VectorError, match="no polygons that can be read"):
        PolygonLabels(tmp_path / "c.gpkg", image, BUILDINGS, None)
    for facts, needed in (
        ({"crs": None}, "its coordinate system by --crs EPSG:N"),
        ({"transform": None}, "a world file"),
    ):
        nowhere = open_raster(make_raster("nowhere.tif", **({"crs": None} | facts)))
        with pytest.raises(
            SourceError, match=rf"has no place for the polygons of a.gpkg; give {needed}"
        ):
            PolygonLabels(path, nowhere, BUILDINGS, None)
