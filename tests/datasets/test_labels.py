from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from geoseg.classes import ISPRS, ClassScheme
from geoseg.datasets.labels import RasterLabels, check_labels
from geoseg.errors import SourceError
from geoseg.raster import open_raster
from geoseg.tiling import Window

WHOLE, VALID = Window(0, 0, 64, 80), np.ones((64, 80), bool)


def test_colours_become_ids_and_black_no_label(make_raster: Callable[..., Path]) -> None:
    ids = np.random.default_rng(0).choice([0, 1, 2, 3, 4, 5, 255], (64, 80)).astype(np.uint8)
    labels = RasterLabels(open_raster(make_raster(data=ISPRS.colors_from_ids(ids))), ISPRS)
    np.testing.assert_array_equal(labels.read(WHOLE, VALID), ids)
    assert labels.unknown() is None
    labels.close()


def test_a_few_unknown_colours_are_counted_and_left_without_label(
    make_raster: Callable[..., Path],
) -> None:
    rgb = ISPRS.colors_from_ids(np.full((64, 80), 4, np.uint8))
    rgb[:, 0, :20] = np.array([252, 255, 0])[:, None]
    rgb[:, 40, :3] = np.array([1, 2, 3])[:, None]
    labels = RasterLabels(open_raster(make_raster(data=rgb)), ISPRS)
    ids = np.vstack([labels.read(Window(row, 0, 32, 80), VALID[:32]) for row in (0, 32)])
    assert ((ids == 255) == (rgb != np.array([255, 255, 0])[:, None, None]).any(axis=0)).all()
    told = labels.unknown()
    assert told is not None
    assert told.endswith(
        "colour 252,255,0 (20 pixels), 1,2,3 (3 pixels) is no class's; these pixels are left without label"
    )


def test_many_unknown_values_or_colours_are_refused(make_raster: Callable[..., Path]) -> None:
    values = np.zeros((1, 64, 80), np.uint8)
    values[0, :2] = 9
    labels = RasterLabels(open_raster(make_raster(data=values)), ClassScheme.from_names(["a", "b"]))
    labels.read(WHOLE, VALID)
    with pytest.raises(
        SourceError,
        match=r"value 9 \(160 pixels\) is no class's .* the classes have 0, 1: give a classes",
    ):
        labels.unknown()


def test_labels_must_lie_on_the_image(make_raster: Callable[..., Path]) -> None:
    image = open_raster(make_raster())
    check_labels(image, open_raster(make_raster("bare.tif", bands=1, crs=None, transform=None)))
    check_labels(image, open_raster(make_raster("uncoordinated.tif", bands=1, crs=None)))
    with pytest.raises(
        SourceError,
        match=r"64 x 79 pixels .* do not lie on scene.tif .*give labels of the same pixels",
    ):
        check_labels(image, open_raster(make_raster("small.tif", bands=1, width=79)))
    elsewhere = from_origin(500_001.0, 5_400_000.0, 0.5, 0.5)
    with pytest.raises(SourceError, match=r"from \(500001, 5400000\) .* do not lie on scene.tif"):
        check_labels(image, open_raster(make_raster("elsewhere.tif", bands=1, transform=elsewhere)))
    with pytest.raises(SourceError, match=r"do not lie on scene\.tif"):
        check_labels(image, open_raster(make_raster("system.tif", bands=1, crs="EPSG:32633")))
