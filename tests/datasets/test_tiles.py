from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from geoseg.classes import ClassScheme
from geoseg.datasets.tiles import Tile, TileReader, open_tile
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


def test_values_that_are_no_class_are_counted(make_tile: MakeTile) -> None:
    tile = make_tile(
        image=np.full((3, 2, 2), 9, np.uint8), labels=np.array([[[4, 5], [5, 0]]], np.uint8)
    )
    with TileReader(tile, SCHEME) as reader:
        assert reader.unknown_values(Window(0, 0, 2, 2)) == {5: 2}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.zeros((1, 3, 4), np.uint8),
            r"labels of 3 x 4 pixels for an image of 2 x 4 \(image\.tif\)",
        ),
        (np.zeros((3, 2, 4), np.uint8), "labels have 3 bands; one band of class values is needed"),
        (np.zeros((1, 2, 4), np.float32), "labels are float32; whole numbers are needed"),
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
