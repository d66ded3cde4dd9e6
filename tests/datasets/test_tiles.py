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
from rasterio.transform import Affine

from geoseg.classes import ClassScheme
from geoseg.datasets import tiles
from geoseg.datasets.tiles import Patch, Tile, TileReader, open_tile
from geoseg.errors import SourceError
from geoseg.tiling import Window

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


def test_values_that_are_no_class_are_refused(make_tile: MakeTile) -> None:
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
        (np.zeros((2, 2, 4), np.uint8), r"2 band\(s\) of uint8 are no labels; give one band of wh"),
        (np.zeros((1, 2, 4), np.float32), r"1 band\(s\) of float32 are no labels"),
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


def test_polygons_are_no_reference_where_the_image_is_invalid(label_forms: dict[str, Tile]) -> None:
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
