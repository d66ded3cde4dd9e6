from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize

from geoseg.classes import ClassScheme
from geoseg.datasets.polygon_labels import PolygonLabels, Polygons, polygons_fingerprint
from geoseg.errors import ConfigError, VectorError
from geoseg.raster import open_raster
from geoseg.tiling import Window

BUILDINGS = ClassScheme.from_names(["background", "building"])
LAND = ClassScheme(("grass", "road"), ((0, 255, 0), (90, 90, 90)), ((3,), (7, 8)), (255, 99))


def save(path: Path, shapes: list[Any], crs: str = "EPSG:4326", **columns: Any) -> Path:
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32632").to_crs(crs).to_file(path)
    return path


def boxes() -> list[Any]:
    """Two overlapping houses and one that reaches beyond the raster, in metres (0.5 a pixel)."""
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
def test_polygons_in_any_system_rasterize_as_rasterio_rasterizes_them_whole(
    make_raster: Callable[..., Path], tmp_path: Path, name: str, crs: str
) -> None:
    image = open_raster(make_raster())
    labels = PolygonLabels(Polygons(save(tmp_path / name, boxes(), crs)), image, BUILDINGS)
    expected = rasterize(
        [(box, 1) for box in boxes()], (64, 80), transform=image.transform, dtype="uint8"
    )
    found = np.vstack([labels.read(Window(r, 0, 16, 80)) for r in range(0, 64, 16)])
    assert len(labels) == 3
    assert (found == expected).mean() > 0.999  # a corner may move by a rounding of the projection
    if crs == "EPSG:32632":
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["houses.gpkg", "houses.shp"])
def test_polygons_that_were_edited_are_read_anew(
    make_raster: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    image = open_raster(make_raster())
    assert len(PolygonLabels(Polygons(save(tmp_path / name, boxes())), image, BUILDINGS)) == 3
    assert len(PolygonLabels(Polygons(save(tmp_path / name, boxes()[:1])), image, BUILDINGS)) == 1


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ("PRAGMA journal_mode = WAL", False),
        ("PRAGMA user_version = 10201; PRAGMA application_id = 1196444487", False),
        ("CREATE TABLE layer_styles (styleQML TEXT); PRAGMA user_version = 10301", False),
        ("DELETE FROM layer WHERE fid = 1", True),
        ("UPDATE layer SET kind = 'grass' WHERE fid = 1", True),
        ("PRAGMA journal_mode = WAL; BEGIN; UPDATE layer SET kind = 'grass'; COMMIT", True),
    ],
)
def test_the_fingerprint_follows_areas_and_classes_and_not_the_bytes_of_the_file(
    tmp_path: Path, change: str, is_another: bool
) -> None:
    """As programs leave a GeoPackage that they have open, or had."""
    path = tmp_path / "layer.gpkg"
    drawn = Polygons(save(path, boxes(), "EPSG:32632", kind=["road"] * 3), "kind")
    before, content = polygons_fingerprint(drawn, LAND), path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            database.execute(f'DROP TRIGGER "{trigger[0]}"')  # they need functions of GDAL's
        database.executescript(change)
        # While it is open: what is in a -wal file is not in the other.
        assert (polygons_fingerprint(drawn, LAND) != before) == is_another
    assert path.read_bytes() != content
    assert (polygons_fingerprint(drawn, LAND) != before) == is_another


def test_windows_give_what_the_whole_gives(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    labels = PolygonLabels(Polygons(save(tmp_path / "a.gpkg", boxes())), image, BUILDINGS)
    whole = labels.read(Window(0, 0, 64, 80))
    for row, col, height, width in [
        (0, 0, 13, 31),
        (9, 17, 40, 22),
        (50, 60, 14, 20),
        (0, 79, 64, 1),
    ]:
        part = labels.read(Window(row, col, height, width))
        np.testing.assert_array_equal(part, whole[row : row + height, col : col + width])


def test_an_attribute_names_the_class_and_the_later_polygon_wins(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes(), "EPSG:32632", kind=["Grass", "8", "99"])
    labels = PolygonLabels(Polygons(path, "kind"), image, LAND).read(Window(0, 0, 64, 80))
    values = [0, 1, 255]
    expected = rasterize(
        zip(boxes(), values, strict=True), (64, 80), fill=255, transform=image.transform
    )
    np.testing.assert_array_equal(
        labels, expected
    )  # without a class "background" the rest has no label


def test_a_later_polygon_covers_an_earlier_one_in_every_window(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    """The order is that of the file, not that in which a spatial index finds them."""
    image = open_raster(make_raster())
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 25, (40, 2))
    shapes = [
        shapely.box(500_000 + x, 5_400_000 - y - 8, 500_000 + x + 12, 5_400_000 - y)
        for x, y in corners
    ]
    values = [int(value) for value in rng.integers(0, 4, len(shapes))]
    scheme = ClassScheme.from_names(["a", "b", "c", "d"])
    path = save(tmp_path / "a.gpkg", shapes, "EPSG:32632", kind=list(map(str, values)))
    labels = PolygonLabels(Polygons(path, "kind"), image, scheme)
    expected = np.full((64, 80), 255, np.uint8)
    for shape, value in zip(shapes, values, strict=True):  # one after the other, later ones on top
        mask = rasterize([shape], (64, 80), transform=image.transform, default_value=1)
        expected[mask == 1] = value
    for row, col in ((0, 0), (0, 40), (32, 0), (32, 40)):
        np.testing.assert_array_equal(
            labels.read(Window(row, col, 32, 40)), expected[row : row + 32, col : col + 40]
        )


def test_numbers_name_classes_also_where_gaps_made_them_floats(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes()[:2], "EPSG:32632", value=[3.0, 7.0])
    labels = PolygonLabels(Polygons(path, "value"), image, LAND).read(Window(0, 0, 64, 80))
    assert set(np.unique(labels)) == {0, 1, 255}


def test_bad_polygons_are_one_clear_line(make_raster: Callable[..., Path], tmp_path: Path) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes(), kind=["grass", "shed", "shed"])
    with pytest.raises(
        VectorError,
        match=r"'kind' holds 'shed' \(2 polygons\), which is not a class; the classes are grass",
    ):
        PolygonLabels(Polygons(path, "kind"), image, LAND)
    with pytest.raises(VectorError, match="has no attribute 'klass'; choose one of kind"):
        PolygonLabels(Polygons(path, "klass"), image, LAND)
    with pytest.raises(
        ConfigError,
        match=r"2 classes \(grass, road\) and polygons of one kind; name the attribute that holds "
        r"the class \(--attribute NAME, or attribute: NAME in a config\), or give one class "
        r"besides 'background', which is what lies between them",
    ):
        PolygonLabels(Polygons(path), image, LAND)
    placeless = save(tmp_path / "b.shp", boxes())
    placeless.with_suffix(".prj").unlink()
    with pytest.raises(
        VectorError, match=r"has no coordinate system; add it \(a .prj next to a Shapefile\)"
    ):
        PolygonLabels(Polygons(placeless), image, BUILDINGS)
    (tmp_path / "c.gpkg").write_text("nothing")
    with pytest.raises(VectorError, match="no polygons that can be read"):
        PolygonLabels(Polygons(tmp_path / "c.gpkg"), image, BUILDINGS)


def test_polygons_label_the_whole_image(make_raster: Callable[..., Path], tmp_path: Path) -> None:
    image = open_raster(make_raster())
    labels = PolygonLabels(Polygons(save(tmp_path / "a.gpkg", boxes())), image, BUILDINGS)
    whole = labels.read(Window(0, 0, 64, 80))
    assert set(np.unique(whole)) == {0, 1}


def test_the_one_class_may_have_any_place_and_the_background_any_case(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    path = save(tmp_path / "a.gpkg", boxes(), "EPSG:32632")
    for names, inside, outside in (
        (["building", "Background"], 0, 1),
        (["building"], 0, 255),
        (["background", "building"], 1, 0),
    ):
        labels = PolygonLabels(Polygons(path), image, ClassScheme.from_names(names))
        found = labels.read(Window(0, 0, 64, 80))
        assert (found[20, 20], found[60, 2]) == (inside, outside)


def test_polygons_outside_the_image_are_not_counted(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    away = shapely.box(500_041, 5_399_990, 500_050, 5_399_999)  # the image ends at 500,040
    path = save(tmp_path / "a.gpkg", [*boxes(), away], "EPSG:32632")
    assert len(PolygonLabels(Polygons(path), open_raster(make_raster()), BUILDINGS)) == 3


def test_the_footprint_of_the_image_ends_at_its_corners(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    """The image reaches from 500,000 to 500,040 east and from 5,399,968 to 5,400,000 north."""
    image = open_raster(make_raster())
    for step, count in ((0.1, 4), (-0.1, 0)):  # metres inside and outside of each corner
        near = [
            shapely.Point(x, y).buffer(0.05)
            for x in (500_000 + step, 500_040 - step)
            for y in (5_399_968 + step, 5_400_000 - step)
        ]
        path = save(tmp_path / f"{count}.gpkg", near, "EPSG:32632")
        assert len(PolygonLabels(Polygons(path), image, BUILDINGS)) == count


@pytest.mark.parametrize("attribute", [None, "kind"])
def test_a_file_without_features_says_that_all_is_background(
    make_raster: Callable[..., Path], tmp_path: Path, attribute: str | None
) -> None:
    path = tmp_path / "a.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    labels = PolygonLabels(Polygons(path, attribute), open_raster(make_raster()), BUILDINGS)
    assert len(labels) == 0
    assert not labels.read(Window(0, 0, 64, 80)).any()


def test_a_layer_is_chosen_by_name_and_a_feature_counts_once(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    path = tmp_path / "a.gpkg"
    for layer, shapes in (("one", [shapely.MultiPolygon(boxes()[1:])]), ("two", boxes())):
        frame = geopandas.GeoDataFrame(geometry=shapes, crs="EPSG:32632")
        frame.to_file(path, layer=layer)
    for layer, count in (("one", 1), ("two", 3)):
        assert len(PolygonLabels(Polygons(path, None, layer), image, BUILDINGS)) == count


def test_polygons_inside_collections_are_drawn_also_where_they_overlap(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = open_raster(make_raster())
    line = shapely.LineString([(500_000, 5_400_000), (500_040, 5_399_968)])
    shapes = [shapely.GeometryCollection([*boxes(), line])]
    labels = PolygonLabels(
        Polygons(save(tmp_path / "a.gpkg", shapes, "EPSG:32632")), image, BUILDINGS
    )
    expected = rasterize(
        [(box, 1) for box in boxes()], (64, 80), transform=image.transform, dtype="uint8"
    )
    np.testing.assert_array_equal(labels.read(Window(0, 0, 64, 80)), expected)
    assert labels.drawn.dropped == (("LineString", 1),)


@given(seed=st.integers(0, 2**32 - 1))
def test_polygons_with_holes_and_islands_are_drawn_as_rasterio_draws_them(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("drawn")
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": 64, "width": 64}
    place = rasterio.transform.from_origin(500_000, 5_400_000, 0.5, 0.5)
    with rasterio.open(folder / "a.tif", "w", crs="EPSG:32632", transform=place, **profile) as file:
        file.write(np.ones((1, 64, 64), np.uint8))
    discs = [
        shapely.Point(500_000 + 32 * x, 5_400_000 - 32 * y).buffer(12 * r, 4)
        for x, y, r in rng.random((9, 3))
    ]
    shapes = [one.difference(two.union(three)) for one, two, three in np.reshape(discs, (3, 3))]
    shapes = [shape for shape in shapes if not shape.is_empty]
    drawn = Polygons(save(folder / "a.gpkg", shapes, "EPSG:32632"))
    labels = PolygonLabels(drawn, open_raster(folder / "a.tif"), BUILDINGS)
    expected = rasterize([(shape, 1) for shape in shapes], (64, 64), transform=place)
    np.testing.assert_array_equal(labels.read(Window(0, 0, 64, 64)), expected)
