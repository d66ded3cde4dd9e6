"""A bounded look at a raster's pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.raster import open_raster
from geoseg.raster.sampling import sample_windows

Make = Callable[..., Path]


@pytest.mark.parametrize("size", [(1, 1), (64, 80), (1024, 700)])
def test_a_small_raster_is_sampled_whole_and_once(make_raster: Make, size: tuple[int, int]) -> None:
    path = make_raster(height=size[0], width=size[1])
    sample = sample_windows(open_raster(path))
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(sample.pixels, file.read().reshape(3, -1))
    assert sample.share == 1


@pytest.mark.parametrize("size", [(1025, 3), (3000, 2000)])
def test_a_larger_one_is_sampled_to_its_corners_and_no_pixel_twice(
    make_raster: Make, size: tuple[int, int]
) -> None:
    data = np.arange(size[0] * size[1], dtype=np.uint32).reshape(1, *size)
    sample = sample_windows(open_raster(make_raster(data=data)))
    found = np.unique(sample.pixels)
    assert found.size == sample.pixels.size == pytest.approx(sample.share * data.size)
    assert {0, size[1] - 1, data.size - size[1], data.size - 1} <= set(found.tolist())


def test_the_sample_of_many_bands_is_bounded(make_raster: Make) -> None:
    path = make_raster(
        bands=400, height=600, width=600, dtype="float32", interleave="band", sparse_ok=True
    )
    assert sample_windows(open_raster(path)).pixels.nbytes <= 64 * 2**20


def test_values_are_those_of_valid_pixels_and_pixels_are_all(make_raster: Make) -> None:
    data = np.ones((2, 64, 80), np.int16)
    data[:, :16] = -9999
    sample = sample_windows(open_raster(make_raster(data=data, nodata=-9999)))
    assert sample.pixels.shape == (2, 64 * 80)
    assert sample.values.shape == (2, 48 * 80)
    assert sample.values.min() == 1
