"""A bounded look at a raster's pixels: all of a small one, else windows spread over it.

Windows show how values are distributed. Rare ones lie between them; where overviews exist, even
averaged ones, their lowest and highest values tell where to look for those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.reader import Reader
from geoseg.raster.source import Source

_SAMPLE_SIDE = 1024
"""Pixels along each axis: 4 x 4 windows of 256 pixels, 8 x 8 of 128, or 16 x 16 of 64."""
_MOST_BYTES = 64 * 2**20
"""Of a sample; windows of many bands are smaller."""
_MOST_DECODED = 128 * 2**20
"""Bytes for a sample, about: large blocks make few windows."""
_MOST_BLOCKS = 1024
"""Decoded for a sample, where small blocks of few bands make many windows."""
_OVERVIEW_BYTES = 8 * 2**20
_NEAR = 64
"""Side of the windows around extreme values."""
_BORDER_DEPTH = 3
"""Pixels between a raster's edge and its sampled border: narrower seams do not matter."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels of a raster, in no order that says where they lie."""

    pixels: NDArray[Any]
    """``(bands, pixels)`` in the source's dtype, as stored, invalid ones too."""
    valid: NDArray[np.bool_]
    """``(pixels,)``: those that neither nodata, alpha, a mask nor NaN excludes."""
    share: float
    """Of the raster's pixels; 1 where all are here."""
    border: NDArray[Any]
    """``(bands, border pixels)``: those along the raster's edge, in order around it."""
    border_valid: NDArray[np.bool_]
    """``(border pixels,)``"""

    @property
    def values(self) -> NDArray[Any]:
        """``(bands, valid pixels)`` in the source's dtype."""
        return self.pixels if self.valid.all() else self.pixels[:, self.valid]


def sample_windows(source: Source, *, border_only: bool = False) -> Sample:
    """16 to 256 windows, at most 1024 x 1024 pixels in full resolution, at most 64 MiB.

    Args:
        source: the raster.
        border_only: of these windows, those at the raster's edge alone.

    Raises:
        SourceError: the file cannot be read there.
    """
    pixel = len(source.bands) * np.dtype(source.dtype).itemsize
    count = next((n for n in (16, 8) if _is_quick(source, n * n)), 4)
    side = min(_SAMPLE_SIDE // count, math.isqrt(_MOST_BYTES // pixel) // count)
    rows, cols = _spread(source.height, side, count), _spread(source.width, side, count)
    ends = cols[:: len(cols) - 1 or 1]
    lines = [cols] * len(rows)
    if border_only:
        lines[1:-1] = [ends] * len(lines[1:-1])
    with source.open() as reader:
        windows = [
            [reader.read(row, col, height, width) for col, width in line]
            for (row, height), line in zip(rows, lines, strict=True)
        ]
    pixels = [[window for window, _ in line] for line in windows]
    valid = [[mask for _, mask in line] for line in windows]
    every = np.concatenate([mask.ravel() for line in valid for mask in line])
    return Sample(
        np.concatenate([w.reshape(len(w), -1) for line in pixels for w in line], axis=1),
        every,
        every.size / (source.height * source.width),
        _border(pixels),
        _border(valid),
    )


def sample_extremes(source: Source) -> NDArray[Any]:
    """Valid pixels around the lowest and the highest value of each band in an overview.

    Returns:
        ``(bands, pixels)`` in full resolution and the source's dtype; none without overviews.

    Raises:
        SourceError: the file cannot be read there.
    """
    none: NDArray[Any] = np.empty((len(source.bands), 0), source.dtype)
    with source.open() as reader:
        places = _extreme_places(source, reader.overviews - 1)
        windows = [_around(reader, row, col) for row, col in sorted(places)]
    return np.concatenate([none, *(pixels[:, valid] for pixels, valid in windows)], axis=1)


def _is_quick(source: Source, windows: int) -> bool:
    """Whether so many windows, each in one block a band, are within bounds."""
    few = windows * len(source.bands) <= _MOST_BLOCKS
    return few and windows * source.read_cost.block_bytes <= _MOST_DECODED


def _spread(length: int, side: int, count: int) -> list[tuple[int, int]]:
    """Starts and lengths of the windows along an axis: the ends are among them, none overlap.

    Starts are multiples of the side, so that a window lies in one tile of the file.
    """
    if length <= count * side:
        return [(0, length)]
    inner = [round(step * (length - side) / (count - 1)) // side * side for step in range(count)]
    return [(start, side) for start in [*inner[:-1], length - side]]


def _border(windows: list[list[NDArray[Any]]]) -> NDArray[Any]:
    """``(..., pixels)`` clockwise along the edge of windows that lie in rows and columns."""
    height, width = windows[0][0].shape[-2:]
    depth = min(_BORDER_DEPTH, (min(height, width) - 1) // 2)
    sides = [
        *(window[..., depth, :] for window in windows[0]),
        *(line[-1][..., :, -1 - depth] for line in windows),
        *(window[..., -1 - depth, ::-1] for window in reversed(windows[-1])),
        *(line[0][..., ::-1, depth] for line in reversed(windows)),
    ]
    return np.concatenate(sides, axis=-1)


def _extreme_places(source: Source, coarsest: int) -> set[tuple[int, int]]:
    """Full-resolution rows and columns of each band's extremes in the finest small overview."""
    pixels, valid = None, None
    for level in range(coarsest, -1, -1):
        with source.open(overview=level) as reader:
            pixel = len(source.bands) * np.dtype(source.dtype).itemsize
            if reader.height * reader.width * pixel > _OVERVIEW_BYTES:
                break
            pixels, valid = reader.read(0, 0, reader.height, reader.width)
    if pixels is None or valid is None or not valid.any():
        return set()
    rows, cols = np.nonzero(valid)
    found = {int(index) for band in pixels[:, valid] for index in (band.argmin(), band.argmax())}
    step = source.height / valid.shape[0], source.width / valid.shape[1]
    return {(int((rows[i] + 0.5) * step[0]), int((cols[i] + 0.5) * step[1])) for i in found}


def _around(reader: Reader, row: int, col: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    height, width = min(_NEAR, reader.height), min(_NEAR, reader.width)
    top = min(max(row - height // 2, 0), reader.height - height)
    left = min(max(col - width // 2, 0), reader.width - width)
    return reader.read(top, left, height, width)
