from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine, from_origin

from geoseg.classes import ISPRS, ClassScheme
from geoseg.datasets import tiles
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.tiles import (
    Patch,
    Tile,
    TileReader,
    check_labels,
    find_labels,
    open_labels,
    open_tile,
)
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, open_raster
from geoseg.tiling import Window

Make = Callable[..., Path]
WHOLE = Window(0, 0, 64, 80)
ROAD_VALUES = ClassScheme(("background", "road"), ((0, 0, 0), (9, 9, 9)), ((3,), (7,)))


def test_the_suffix_says_whether_labels_are_polygons_or_a_raster(make_raster: Make) -> None:
    assert find_labels(Path("a.GPKG"), "kind") == Polygons(Path("a.GPKG"), "kind")
    assert isinstance(find_labels(make_raster(bands=1)), Source)
    with pytest.raises(
        ConfigError, match=r"attribute kind: goes with polygons, and a\.tif is a ras"
    ):
        find_labels(Path("a.tif"), "kind")


def test_values_colours_and_polygons_give_the_same_ids(make_raster: Make, tmp_path: Path) -> None:
    image = open_raster(make_raster())
    ids = np.zeros((64, 80), np.uint8)
    ids[8:40, 20:60] = 1
    box = shapely.box(500_010, 5_399_980, 500_030, 5_399_996)
    frame = geopandas.GeoDataFrame({"kind": ["Road"]}, geometry=[box], crs="EPSG:32632")
    frame.to_crs(4326).to_file(tmp_path / "roads.gpkg")
    colors = ROAD_VALUES.colors_from_ids(ids)
    paths = {
        make_raster("values.tif", data=(3 + 4 * ids)[None]): None,
        make_raster("colours.tif", data=colors): None,
        tmp_path / "roads.gpkg": "kind",
    }
    for path, attribute in paths.items():
        with open_labels(find_labels(path, attribute), image, ROAD_VALUES) as labels:
            found = labels.read(WHOLE)
        np.testing.assert_array_equal(found, ids)


def test_unknown_values_are_refused_unless_they_are_to_be_counted(make_raster: Make) -> None:
    path = make_raster(data=np.full((1, 64, 80), 5, np.uint8))
    image = source = open_raster(path)
    with (
        open_labels(source, image, ROAD_VALUES) as labels,
        pytest.raises(SourceError, match=r"value 5 \(5,120 pixels\)"),
    ):
        labels.read(WHOLE)
    with open_labels(source, image, ROAD_VALUES, "count") as labels:
        assert (labels.read(WHOLE) == 255).all()


def test_labels_that_do_not_fit_the_image_are_refused(make_raster: Make) -> None:
    image = open_raster(make_raster())
    small = open_raster(make_raster("small.tif", bands=1, width=79))
    with pytest.raises(SourceError, match=r"do not lie on scene\.tif"):
        check_labels(small, image)
    with (
        pytest.raises(SourceError, match=r"do not lie on scene\.tif"),
        open_labels(small, image, ISPRS),
    ):
        pass


def test_the_file_is_closed_in_the_end(make_raster: Make) -> None:
    source = open_raster(make_raster(bands=1))
    with open_labels(source, source, ROAD_VALUES, "count") as labels:
        pass
    with pytest.raises(Exception, match=r"(?i)closed"):
        labels.read(WHOLE)


@pytest.mark.parametrize(("bands", "dtype"), [(2, "uint8"), (1, "float32"), (3, "uint16")])
def test_bands_that_are_neither_values_nor_colours_are_refused(
    make_raster: Make, bands: int, dtype: str
) -> None:
    source = open_raster(make_raster(bands=bands, dtype=dtype))
    with pytest.raises(
        SourceError, match=rf"{bands} band\(s\) of {dtype} are not labels; give one band"
    ):
        check_labels(source, source)
    for bands, dtype in ((1, "uint8"), (1, "int16"), (3, "uint8")):
        source = open_raster(make_raster(bands=bands, dtype=dtype))
        check_labels(source, source)


def test_polygons_need_an_image_that_says_where_it_lies(make_raster: Make) -> None:
    labels = Polygons(Path("a.gpkg"))
    check_labels(labels, open_raster(make_raster()))
    for name, place, needed in (
        ("no_crs", {"crs": None}, r"its coordinate system \(geoseg prepare --crs EPSG:N\)"),
        ("nowhere", {"crs": None, "transform": None}, "a world file"),
    ):
        image = open_raster(make_raster(f"{name}.tif", **place))
        with pytest.raises(
            SourceError, match=rf"has no place for the polygons of a.gpkg; give {needed}"
        ):
            check_labels(labels, image)


def test_labels_must_lie_on_the_image(make_raster: Make) -> None:
    image = open_raster(make_raster())
    bare = make_raster("bare.tif", bands=1, crs=None, transform=None)
    check_labels(open_raster(bare), image)
    check_labels(open_raster(make_raster("no_crs.tif", bands=1, crs=None)), image)
    with pytest.raises(
        SourceError,
        match=r"64 x 79 pixels .* do not lie on scene.tif .*give labels of the same pixels",
    ):
        check_labels(open_raster(make_raster("small.tif", bands=1, width=79)), image)
    elsewhere = from_origin(500_001.0, 5_400_000.0, 0.5, 0.5)
    moved = open_raster(make_raster("elsewhere.tif", bands=1, transform=elsewhere))
    with pytest.raises(SourceError, match=r"from \(500001, 5400000\) .* do not lie on scene.tif"):
        check_labels(moved, image)
    with pytest.raises(SourceError, match=r"do not lie on scene\.tif"):
        check_labels(open_raster(make_raster("a.tif", bands=1, crs="EPSG:32633")), image)


MakeTile = Callable[..., Tile]
SCHEME = ClassScheme(("a", "b"), ((0, 0, 0), (9, 9, 9)), ((4,), (7, 300)), ignore=(255, 0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_labels_become_class_ids_whatever_their_type(make_tile: MakeTile, dtype: str) -> None:
    labels = np.array([[[4, 7, 0, 7], [4, 4, 7, 0]]]).astype(dtype)
    tile = make_tile(image=np.full((3, 2, 4), 9, np.uint8), labels=labels)
    with TileReader(tile, SCHEME) as reader:
        patch = reader.read(Window(0, 1, 2, 3))
    np.testing.assert_array_equal(patch.labels, [[1, 255, 1], [0, 1, 255]])


def test_invalid_pixels_have_no_label_but_keep_their_reference(make_tile: MakeTile) -> None:
    image = np.full((3, 2, 2), 9, np.uint8)
    image[:, 0, 0] = 0
    tile = make_tile(image=image, labels=np.full((1, 2, 2), 4, np.uint8), nodata=0)
    with TileReader(tile, SCHEME) as reader:
        patch = reader.read(Window(0, 0, 2, 2))
        assert reader.reference(Window(0, 0, 2, 2)).tolist() == [[0, 0], [0, 0]]
    assert patch.valid.tolist() == [[False, True], [True, True]]
    assert patch.labels.tolist() == [[255, 0], [0, 0]]


def test_tiles_travel_to_other_processes(make_tile: MakeTile) -> None:
    tile = make_tile()
    assert pickle.loads(pickle.dumps(tile)) == tile


def test_values_without_a_class_are_refused(make_tile: MakeTile) -> None:
    tile = make_tile(
        image=np.full((3, 2, 2), 9, np.uint8), labels=np.array([[[4, 5], [5, 0]]], np.uint8)
    )
    with TileReader(tile, SCHEME) as reader:
        for read in (reader.read, reader.reference):
            with pytest.raises(SourceError, match=r"hold value 5 \(2 pixels\), which no class has"):
                read(Window(0, 0, 2, 2))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.zeros((1, 3, 4), np.uint8),
            r"labels.tif: 3 x 4 pixels .* do not lie on image.tif \(2 x 4 pixels",
        ),
        (np.zeros((2, 2, 4), np.uint8), r"2 band\(s\) of uint8 are not labels; give one band of"),
        (np.zeros((1, 2, 4), np.float32), r"1 band\(s\) of float32 are not labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    make_raster: Callable[..., Path], labels: np.ndarray, message: str
) -> None:
    image = make_raster("image.tif", data=np.ones((3, 2, 4), np.uint8))
    with pytest.raises(SourceError, match=message):
        open_tile(image, make_raster("labels.tif", data=labels))


@pytest.mark.parametrize(
    "elsewhere", [{"transform": Affine(0.5, 0, 500_030, 0, -0.5, 5_400_000)}, {"crs": "EPSG:32633"}]
)
def test_labels_of_another_place_are_refused(
    make_raster: Callable[..., Path], elsewhere: dict[str, Any]
) -> None:
    image = make_raster("image.tif")
    with pytest.raises(
        SourceError,
        match=r"labels\.tif: 64 x 80 pixels .* do not lie on image\.tif .*; give labels of the",
    ):
        open_tile(image, make_raster("labels.tif", bands=1, **elsewhere))
    assert (
        open_tile(image, make_raster("bare.tif", bands=1, crs=None, transform=None)).area == 64 * 80
    )


@pytest.fixture
def label_forms(make_raster: Callable[..., Path], tmp_path: Path) -> dict[str, Tile]:
    """One tile labelled by values, by colours and by polygons; a corner of the image is nodata."""
    scheme_ids = np.zeros((64, 80), np.uint8)
    scheme_ids[8:40, 20:60] = 1
    pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 80)).astype(np.uint8)
    pixels[:, :16, :30] = 0
    image = make_raster("image.tif", data=pixels, nodata=0)
    box = shapely.box(500_010, 5_399_980, 500_030, 5_399_996)
    frame = geopandas.GeoDataFrame({"kind": ["road"]}, geometry=[box], crs="EPSG:32632")
    frame.to_file(tmp_path / "roads.gpkg")
    values = make_raster("values.tif", data=scheme_ids[None])
    colors = make_raster("colors.tif", data=ROADS.colors_from_ids(scheme_ids))
    return {
        "values": open_tile(image, values),
        "colors": open_tile(image, colors),
        "polygons": open_tile(image, tmp_path / "roads.gpkg", attribute="kind"),
    }


ROADS = ClassScheme(("background", "road"), ((1, 2, 3), (9, 9, 9)), ((0,), (1,)))


def test_all_forms_of_labels_give_the_same_patches(label_forms: dict[str, Tile]) -> None:
    for window in (Window(0, 0, 64, 80), Window(7, 11, 20, 33)):
        patches = []
        for tile in label_forms.values():
            with TileReader(pickle.loads(pickle.dumps(tile)), ROADS) as reader:
                patches.append(reader.read(window))
        for patch in patches[1:]:
            for expected, found in zip(patches[0], patch, strict=True):
                np.testing.assert_array_equal(found, expected)
        assert set(np.unique(patches[0].labels)) == {0, 1, 255}


def test_polygons_label_nothing_where_the_image_is_invalid(label_forms: dict[str, Tile]) -> None:
    references = {}
    for name, tile in label_forms.items():
        with TileReader(tile, ROADS) as reader:
            references[name] = reader.reference(Window(0, 0, 64, 80))
    np.testing.assert_array_equal(references["values"], references["colors"])
    assert 255 not in references["values"]
    assert (references["polygons"][:16, :30] == 255).all()
    references["polygons"][:16, :30] = references["values"][:16, :30]
    np.testing.assert_array_equal(references["polygons"], references["values"])


def test_strips_cover_a_tile_from_top_to_bottom(
    make_tile: MakeTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = make_tile()
    assert list(tile.strips()) == [Window(0, 0, 64, 80)]
    monkeypatch.setattr(tiles, "STRIP_PIXELS", 80 * 30 + 79)
    assert list(tile.strips()) == [
        Window(0, 0, 30, 80),
        Window(30, 0, 30, 80),
        Window(60, 0, 4, 80),
    ]
    monkeypatch.setattr(tiles, "STRIP_PIXELS", 1)
    assert len(list(tile.strips())) == 64


def test_size_in_pixels_and_in_bytes(make_tile: MakeTile) -> None:
    assert make_tile().area == 64 * 80
    assert make_tile().bytes == 64 * 80 * (3 + 1 + 1)
    deep = make_tile("deep", image=np.ones((2, 64, 80), np.uint16))
    assert deep.bytes == 64 * 80 * (2 * 2 + 1 + 1)


def test_bands_are_read_in_the_order_given(make_raster: Callable[..., Path]) -> None:
    tile = open_tile(
        make_raster(), make_raster("l.tif", data=np.ones((1, 64, 80), np.uint8)), [3, 1]
    )
    with TileReader(tile, ClassScheme.from_names(["a", "b"])) as reader:
        pixels = reader.read(Window(2, 3, 4, 5)).pixels
    with rasterio.open(tile.image.path) as file:
        np.testing.assert_array_equal(pixels, file.read([3, 1])[:, 2:6, 3:8])


def test_pixels_mask_and_labels_move_alike() -> None:
    corner = np.arange(6).reshape(2, 3)
    moved = Patch(corner[None], corner > 2, corner.astype(np.uint8)).moved(lambda a: a[..., ::-1])
    np.testing.assert_array_equal(moved.pixels[0], corner[:, ::-1])
    np.testing.assert_array_equal(moved.valid, (corner > 2)[:, ::-1])
    np.testing.assert_array_equal(moved.labels, corner[:, ::-1])
