"""A bounded look at a raster's pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.windows
from rasterio.enums import Resampling

from geoseg.raster import open_raster
from geoseg.raster.reader import Reader
from geoseg.raster.sampling import sample_extremes, sample_windows

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


@pytest.mark.parametrize(
    "size", [(1, 1), (64, 80), (1025, 3), (3, 1025), (1100, 1300), (3000, 2000)]
)
def test_the_border_alone_is_that_of_the_whole_sample_from_fewer_pixels(
    make_raster: Make, size: tuple[int, int]
) -> None:
    source = open_raster(make_raster(height=size[0], width=size[1]))
    whole, alone = sample_windows(source), sample_windows(source, border_only=True)
    np.testing.assert_array_equal(alone.border, whole.border)
    np.testing.assert_array_equal(alone.border_valid, whole.border_valid)
    assert alone.share < whole.share / 2 or min(size) <= 1024


def test_the_sample_of_many_bands_is_bounded(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "count": 400, "dtype": "float32", "height": 600, "width": 600}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, interleave="band", sparse_ok=True):
        pass  # no pixel is written: all are 0
    assert 0 < sample_windows(open_raster(tmp_path / "a.tif")).pixels.nbytes <= 64 * 2**20


def test_values_are_those_of_valid_pixels_and_pixels_are_all(make_raster: Make) -> None:
    data = np.ones((2, 64, 80), np.int16)
    data[:, :16] = -9999
    sample = sample_windows(open_raster(make_raster(data=data, nodata=-9999)))
    assert sample.pixels.shape == (2, 64 * 80)
    assert sample.values.shape == (2, 48 * 80)
    assert sample.values.min() == 1


def sparse(path: Path, side: int, place: tuple[slice, slice], value: int) -> Path:
    """A square file of pixels that are 0 but for a rectangle."""
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "int16"}
    tiling = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **tiling, sparse_ok=True) as file:
        size = (3, *(axis.stop - axis.start for axis in place))
        window = rasterio.windows.Window.from_slices(*place)
        file.write(np.full(size, value, np.int16), window=window)
    return path


CORNER, STRIP, END = slice(0, 1414), slice(0, 100), slice(20_000 - 1414, 20_000)


@pytest.mark.parametrize(
    ("rows", "cols"),
    [(CORNER, CORNER), (CORNER, END), (END, CORNER), (END, END), (STRIP, slice(0, 20_000))],
)
def test_half_a_percent_at_a_corner_of_400_million_pixels_is_sampled_in_bounds(
    tmp_path: Path, rows: slice, cols: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sparse(tmp_path / "a.tif", 20_000, (rows, cols), -9999)
    decoded: set[tuple[int, int, int]] = set()
    original = Reader.read

    def read(self: Reader, row: int, col: int, height: int, width: int) -> Any:
        for tile_row in range(row // 512, (row + height - 1) // 512 + 1):
            for tile_col in range(col // 512, (col + width - 1) // 512 + 1):
                decoded.add((id(self), tile_row, tile_col))
        return original(self, row, col, height, width)

    monkeypatch.setattr(Reader, "read", read)
    sample = sample_windows(open_raster(path))
    assert np.count_nonzero(sample.values == -9999) > 100
    assert sample.pixels.nbytes <= 64 * 2**20
    assert len(decoded) * 512 * 512 * 3 * 2 <= 160 * 2**20


@pytest.mark.parametrize("resampling", [Resampling.average, Resampling.nearest])
def test_overviews_even_averaged_ones_lead_to_rare_values_between_the_windows(
    tmp_path: Path, resampling: Resampling
) -> None:
    place = slice(2_700, 2_740)
    path = sparse(tmp_path / "a.tif", 6_000, (place, place), -9999)
    source = open_raster(path)
    assert sample_extremes(source).shape == (3, 0), "no overviews"
    with rasterio.open(path, "r+") as file:
        file.build_overviews([4, 16, 32], resampling)
    found = sample_extremes(source)
    assert found.dtype == np.int16
    assert np.count_nonzero(found[0] == -9999) >= 30 * 30
    assert set(np.unique(found)) == {-9999, 0}, "in full resolution"
    assert not np.count_nonzero(sample_windows(source).values == -9999)


def test_extremes_leave_out_invalid_pixels(make_raster: Make) -> None:
    data = np.random.default_rng(0).uniform(0, 1, (2, 600, 500)).astype(np.float32)
    data[:, :100], data[0, 300, 200], data[1, 599, 499] = -9999, 7, np.nan
    path = make_raster(data=data, nodata=-9999)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.average)
    found = sample_extremes(open_raster(path))
    assert found.min() >= 0
    assert found.max() == 7


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 4), (64, 80), (1100, 90), (3000, 2000)])
def test_the_border_is_sampled_in_order_around_the_raster(
    make_raster: Make, size: tuple[int, int]
) -> None:
    rows, cols = np.indices(size)
    depth = np.minimum(
        np.minimum(rows, size[0] - 1 - rows), np.minimum(cols, size[1] - 1 - cols)
    ).astype(np.uint16)
    data = np.stack([depth, rows.astype(np.uint16), cols.astype(np.uint16)])
    sample = sample_windows(open_raster(make_raster(data=data)))
    depths, row, col = sample.border.astype(int)
    assert depths.max() <= 3
    assert sample.border_valid.all()
    assert {min(3, (min(size) - 1) // 2)} <= set(depths.tolist())
    # Seen from the middle, the way round the raster goes one way.
    steps = np.diff(row, append=row[0]) ** 2 + np.diff(col, append=col[0]) ** 2
    assert steps.max() <= max(49, (max(size) / 3) ** 2)
