"""A raster at another ground sampling is what gdalwarp makes of it, whatever window is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.enums import Resampling

from geoseg import geodesy
from geoseg.errors import SourceError
from geoseg.raster import open_raster
from geoseg.raster.resampling import taps_of
from tests.conftest import GRID

Make = Callable[..., Path]


def smooth(dtype: str) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (2, 100, 120))
    data = scipy.ndimage.gaussian_filter(noise, (0, 1.5, 1.5)) * 300 + 128
    data = np.clip(data, 1, 255).astype(dtype)
    data[:, 40:61, 30:77] = 0
    return data


@pytest.mark.parametrize("scale", [0.4, 0.77, 1.3, 2.5, 4.0])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_it_is_what_gdal_warps(make_raster: Make, scale: float, dtype: str) -> None:
    data = smooth(dtype)
    source = open_raster(make_raster("a.tif", data=data, nodata=0))
    own = geodesy.extent(source.transform, source.crs, 100, 120)
    assert own is not None
    resampled = source.resample(scale * own[1] / 100)
    height, width = resampled.height, resampled.width
    assert (height, width) == (math.ceil(100 / scale), math.ceil(120 / scale))
    with resampled.open() as reader:
        found, valid = reader.read(0, 0, height, width)
        part, part_valid = reader.read(5, 7, height - 9, width - 20)
    np.testing.assert_array_equal(part, found[:, 5:-4, 7:-13])
    np.testing.assert_array_equal(part_valid, valid[5:-4, 7:-13])
    expected = np.zeros_like(found)
    rasterio.warp.reproject(
        data,
        expected,
        src_transform=GRID,
        src_crs=source.crs,
        src_nodata=0,
        dst_transform=resampled.transform,
        dst_crs=source.crs,
        dst_nodata=0,
        resampling=Resampling.average if scale > 1 else Resampling.bilinear,
        tolerance=0,
        UNIFIED_SRC_NODATA="YES",
    )
    # Of a last pixel that the raster fills in part only, GDAL takes another share.
    whole = np.s_[:, : int(100 / scale), : int(120 / scale)]
    np.testing.assert_array_equal(valid[whole[1:]], expected.any(axis=0)[whole[1:]])
    differences = np.abs(found.astype(float) - expected)[whole][:, valid[whole[1:]]]
    assert np.mean(differences <= 1) >= 0.999
    assert valid.mean() > 0.8


@given(st.floats(0.05, 30), st.integers(1, 300), st.data())
def test_weights_of_inner_pixels_add_up_and_do_not_depend_on_the_window(
    scale: float, length: int, data: st.DataObject
) -> None:
    pixels = math.ceil(length / scale)
    start = data.draw(st.integers(0, pixels - 1))
    stop = data.draw(st.integers(start + 1, pixels))
    part, whole = taps_of(start, stop, scale, length), taps_of(0, pixels, scale, length)
    np.testing.assert_array_equal(part.weight, whole.weight[:, start:stop])
    np.testing.assert_array_equal(part.places + part.first, whole.places[:, start:stop])
    assert part.first >= 0
    assert part.end <= length
    covered = np.minimum((np.arange(pixels) + 1) * scale, length) - np.arange(pixels) * scale
    if scale > 1:
        np.testing.assert_allclose(whole.weight.sum(axis=0), covered, atol=1e-9)


def test_pixels_become_square_on_the_ground_whatever_the_coordinate_system(
    make_raster: Make,
) -> None:
    degrees = Affine(2e-6, 0, 9.0, 0, -2e-6, 60.0)
    mercator = Affine(0.5, 0, 1e6, 0, -0.5, 8_399_737.0)  # 60 degrees north: 0.25 m of ground
    for name, crs, transform in (("a", "EPSG:4326", degrees), ("b", "EPSG:3857", mercator)):
        path = make_raster(f"{name}.tif", height=100, width=100, crs=crs, transform=transform)
        source = open_raster(path).resample(0.5)
        metres = geodesy.extent(source.transform, source.crs, source.height, source.width)
        assert metres is not None
        assert metres[0] / source.width == pytest.approx(0.5, rel=1e-3)
        assert metres[1] / source.height == pytest.approx(0.5, rel=1e-3)
    bare = open_raster(make_raster("c.tif", crs=None))
    with pytest.raises(SourceError, match="has no ground sampling, so that it cannot be resampled"):
        bare.resample(0.5)
