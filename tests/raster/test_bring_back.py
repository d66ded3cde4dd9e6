"""Outputs of a resampled raster come back by pieces: in little memory, and no bit depends on it."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.raster.bring_back import Onto, brought_back_bytes
from geoseg.raster.part import large_profile
from geoseg.tiling import Window


@pytest.mark.parametrize("scale", [0.3, 2.4])
@pytest.mark.parametrize("bilinear", [False, True])
def test_files_of_any_size_take_what_is_counted_and_no_bit_depends_on_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, bilinear: bool
) -> None:
    size, bands = (round(700 * scale), round(640 * scale)), 2
    onto, shown = Onto(*size, (scale, scale)), Window(50, 30, 600, 550)
    stored = onto.needed(shown)
    rng = np.random.default_rng(0)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            tmp_path / "base.tif", "w", **large_profile(bands, stored.height, stored.width)
        ) as file,
    ):
        file.write(rng.integers(0, 256, (bands, stored.height, stored.width), np.uint8))
        file.write_mask(rng.random((stored.height, stored.width)) < 0.8)

    def back(name: str, pieces: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for room in ("pieces", "bring_back"):
            monkeypatch.setattr(f"geoseg.raster.{room}.PIECE_BYTES", pieces)
        out = tmp_path / name
        tracemalloc.start()
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            counts = onto.bring_back(tmp_path / "base.tif", out, shown, bilinear=bilinear)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert taken <= brought_back_bytes(bands)
        with rasterio.open(out) as file:
            return file.read(), file.dataset_mask(), counts

    one, many = back("one.tif", 2**24), back("many.tif", 2**20)
    for each, other in zip(one, many, strict=True):
        np.testing.assert_array_equal(each, other)
    pixels, mask, counts = one
    np.testing.assert_array_equal(counts, np.bincount(pixels[0].ravel(), minlength=256))
    if bilinear:
        assert 0.7 < mask.mean() / 255 < 0.9
        return
    with rasterio.open(tmp_path / "base.tif") as file:
        below = file.read()
    rows, cols = (
        np.array([math.floor((n + 0.5) * scale) for n in range(first, end)]) - start
        for first, end, start in ((50, 650, stored.row), (30, 580, stored.col))
    )
    np.testing.assert_array_equal(pixels, below[:, rows][:, :, cols])
