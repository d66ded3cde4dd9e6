"""A raster on another grid is what gdalwarp makes of it, in whatever window it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.warp
import scipy.ndimage
from rasterio import Affine
from rasterio.enums import Resampling

from geoseg.errors import SourceError
from geoseg.raster import open_raster
from geoseg.raster.reprojection import ReprojectedSource, reproject

Make = Callable[..., Path]


def smooth(height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (2, height, width))
    data = scipy.ndimage.gaussian_filter(noise, (0, 2, 2)) * 500 + 128
    data = np.clip(data, 1, 255).astype(dtype)
    data[:, 20:31, 30:57] = 0
    return data


def grid_like(make: Make, crs: str, origin: tuple[float, float], pixel: float) -> Path:
    transform = Affine(pixel, 0, origin[0], 0, -pixel, origin[1])
    return make("grid.tif", height=40, width=40, crs=crs, transform=transform)


@pytest.mark.parametrize(
    ("crs", "pixel"), [("EPSG:32633", 0.5), ("EPSG:3857", 0.76), ("EPSG:4326", 4e-6)]
)
def test_it_is_what_gdal_warps(make_raster: Make, crs: str, pixel: float) -> None:
    data = smooth(90, 110)
    source = open_raster(make_raster("a.tif", data=data, nodata=0))
    move = pyproj.Transformer.from_crs(source.crs.to_wkt(), crs, always_xy=True)  # type: ignore[union-attr]
    grid = open_raster(grid_like(make_raster, crs, move.transform(500_003.0, 5_400_002.0), pixel))
    moved, row, col = reproject(source, grid)
    assert moved.transform == grid.transform @ Affine.translation(col, row)
    with moved.open() as reader:
        found, valid = reader.read(0, 0, moved.height, moved.width)
        for window in ((3, 5, 20, 31), (0, 0, 1, moved.width), (17, 15, 18, 20)):
            part, part_valid = reader.read(*window)
            rows, cols = slice(window[0], window[0] + window[2]), slice(window[1], None)
            np.testing.assert_array_equal(part, found[:, rows, cols][:, :, : window[3]])
            np.testing.assert_array_equal(part_valid, valid[rows, cols][:, : window[3]])
    expected = np.zeros_like(found)
    rasterio.warp.reproject(
        data,
        expected,
        src_transform=source.transform,
        src_crs=source.crs,
        src_nodata=0,
        dst_transform=moved.transform,
        dst_crs=moved.crs,
        dst_nodata=0,
        resampling=Resampling.bilinear,
        tolerance=0,
    )
    assert np.count_nonzero(valid != expected.any(axis=0)) <= 0.002 * valid.size
    both = valid & expected.any(axis=0)
    differences = np.abs(found.astype(int) - expected)[:, both]
    assert np.mean(differences <= 1) >= 0.999
    assert both.mean() > 0.6


def test_places_are_exact_to_a_thousandth_of_a_pixel(make_raster: Make) -> None:
    from geoseg.raster.reprojection import ReprojectedReader
    from geoseg.tiling import Window

    source = open_raster(make_raster("a.tif", data=smooth(200, 220)))
    grid = open_raster(grid_like(make_raster, "EPSG:32633", (60_000.0, 5_410_000.0), 0.5))
    moved, *_ = reproject(source, grid)
    with moved.open() as reader:
        assert isinstance(reader, ReprojectedReader)
        found = reader._places(Window(30, 20, 100, 100))
        rows, cols = np.mgrid[30:130, 20:120] + 0.5
        exact = reader._way(cols.ravel(), rows.ravel())
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one.ravel(), other, atol=1e-3)


def test_finer_pixels_are_averaged_first_and_places_without_a_name_refused(
    make_raster: Make,
) -> None:
    fine = open_raster(make_raster("a.tif", data=smooth(90, 110)))
    grid = open_raster(grid_like(make_raster, "EPSG:32633", (60_000.0, 5_410_000.0), 2.0))
    moved, *_ = reproject(fine, grid)
    assert isinstance(moved, ReprojectedSource)
    assert moved.below.ground_sampling == pytest.approx(2.0, rel=1e-3)
    bare = open_raster(make_raster("b.tif", data=smooth(90, 110), crs=None))
    with pytest.raises(SourceError, match="has no coordinate system, so that it cannot be"):
        reproject(bare, grid)
