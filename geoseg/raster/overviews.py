"""Overviews: each level half the one below, by mode or by mean, invalid pixels left out.

GDAL builds overviews of a virtual raster too, but takes several times as long for them as for the
file itself.
"""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from geoseg.prefetch import shared_out
from geoseg.raster.gdal import GDAL_CACHE_BYTES, open_dataset
from geoseg.raster.part import BLOCK, large_profile

_CHUNK_ROWS, _CHUNK_COLS = 2 * BLOCK, 8 * BLOCK
"""What is halved at a time: whole tiles of the level below and of the level above, 4 MiB a band."""
_MASK = 0
"""The number that stands for the mask of a raster among those of its bands."""

Halve = Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.uint8]]
"""From values and validity, both ``(height, width)``, to values of half the size, rounded up."""


def halve_by_mode(values: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The most frequent valid value of each 2 x 2 square; ties go to the first.

    An odd last row or column counts twice. Where no pixel is valid, the value is an invalid one.
    """
    a, b, c, d = _quarters(values)
    # The first of the four that equals a later one has the most votes; where all differ, it is a.
    mode = a.copy()
    np.copyto(mode, c, where=c == d)
    np.copyto(mode, b, where=(b == c) | (b == d))
    np.copyto(mode, a, where=(a == b) | (a == c) | (a == d))
    if not valid.all():
        # Invalid pixels share one value. Where it has the most votes or ties, at most two other
        # pixels are left: they agree or they tie, so the first valid one is right.
        first_valid = d.copy()
        for quarter, quarter_valid in zip((c, b, a), _quarters(valid)[2::-1], strict=True):
            np.copyto(first_valid, quarter, where=quarter_valid)
        invalid_value = values.flat[valid.argmin()]
        np.copyto(mode, first_valid, where=mode == invalid_value)
    return mode


def halve_by_mean(values: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The mean of each 2 x 2 square's valid values, rounded; 0 where there are none.

    An odd last row or column counts twice.
    """
    if valid.all():
        return ((_sum(values) + 2) >> 2).astype(np.uint8)
    count = _sum(valid)
    total = _sum(np.where(valid, values, np.uint8(0)))
    return ((total + count // 2) // np.maximum(count, 1)).astype(np.uint8)


def count_overviews(height: int, width: int) -> int:
    """How many times a raster is halved until it fits into a tile."""
    return max(0, (max(height, width) - 1) // BLOCK).bit_length()


def write_overviews(
    base: Path, folder: Path, halve: Halve, count: int, *, nodata: int | None
) -> list[Path]:
    """Write the overviews of a uint8 raster as GeoTIFFs, largest first.

    Args:
        base: the raster; without `nodata` its mask says what is valid, and the overviews get masks.
        folder: where the overviews go.
        halve: what makes one level of the one below.
        count: how many.
        nodata: the value of invalid pixels, None where the raster has a mask.

    Raises:
        SourceError: the base cannot be opened.
        rasterio.errors.RasterioError: it cannot be read, or an overview cannot be written.
    """
    levels = [base]
    for number in range(1, count + 1):
        level = folder / f"overview{number}.tif"
        _write_level(levels[-1], level, halve, nodata)
        levels.append(level)
    return levels[1:]


def _write_level(below: Path, level: Path, halve: Halve, nodata: int | None) -> None:
    """Threads read and halve; those of a raster with a mask begin with it at each window."""
    with ExitStack() as files:
        source = files.enter_context(open_dataset(below))
        unused: queue.SimpleQueue[Any] = queue.SimpleQueue()
        unused.put(source)

        def halved(piece: tuple[Window, int]) -> NDArray[np.uint8]:
            with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
                try:
                    file = unused.get_nowait()
                except queue.Empty:  # each thread reads by a file of its own
                    file = files.enter_context(open_dataset(below))
                try:
                    return _halve_window(file, *piece, halve, nodata)
                finally:
                    unused.put(file)

        bands = range(1 if nodata is not None else _MASK, source.count + 1)
        pieces = list(itertools.product(_chunks(source.height, source.width), bands))
        profile = large_profile(source.count, -(-source.height // 2), -(-source.width // 2))
        with (
            rasterio.open(level, "w", **profile) as target,
            closing(shared_out(halved, pieces, _CHUNK_ROWS * _CHUNK_COLS)) as made,
        ):
            for (window, band), half in zip(pieces, made, strict=True):
                place = Window(window.col_off // 2, window.row_off // 2, *half.shape[::-1])
                if band == _MASK:
                    target.write_mask(half, window=place)
                else:
                    target.write(half, band, window=place)


def _halve_window(
    source: Any, window: Window, band: int, halve: Halve, nodata: int | None
) -> NDArray[np.uint8]:
    masked = None if nodata is not None else source.read_masks(1, window=window).astype(np.bool_)
    if masked is not None and band == _MASK:
        return np.where(_sum(masked) > 0, np.uint8(255), np.uint8(0))
    values = source.read(band, window=window)
    return halve(values, values != nodata if masked is None else masked)


def _chunks(height: int, width: int) -> Iterator[Window]:
    for row in range(0, height, _CHUNK_ROWS):
        for col in range(0, width, _CHUNK_COLS):
            yield Window(col, row, min(_CHUNK_COLS, width - col), min(_CHUNK_ROWS, height - row))


def _quarters(values: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The top left, top right, bottom left and bottom right of each 2 x 2 square."""
    height, width = values.shape
    if height % 2 or width % 2:
        values = np.pad(values, ((0, height % 2), (0, width % 2)), mode="edge")
    return values[::2, ::2], values[::2, 1::2], values[1::2, ::2], values[1::2, 1::2]


def _sum(values: NDArray[Any]) -> NDArray[np.uint16]:
    a, b, c, d = _quarters(values)
    total: NDArray[np.uint16] = np.add(a, b, dtype=np.uint16)
    total += c
    total += d
    return total
