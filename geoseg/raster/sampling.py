"""A bounded look at a raster's pixels: all of a small one, else windows spread over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.source import Source

_WINDOWS_A_SIDE = 4
_WINDOW_SIDE = 256
_MOST_BYTES = 64 * 2**20
"""Of a sample; windows of many bands are smaller."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels of a raster, in no order that says where they lie."""

    pixels: NDArray[Any]
    """``(bands, pixels)`` in the source's dtype, as stored, invalid ones too."""
    valid: NDArray[np.bool_]
    """``(pixels,)``: those that neither nodata, alpha, a mask nor NaN excludes."""
    share: float
    """Of the raster's pixels; 1 where all are here."""

    @property
    def values(self) -> NDArray[Any]:
        """``(bands, valid pixels)`` in the source's dtype."""
        return self.pixels[:, self.valid]


def sample_windows(source: Source) -> Sample:
    """Up to 16 windows of at most 256 x 256 pixels in full resolution, at most 64 MiB.

    Raises:
        SourceError: the file cannot be read there.
    """
    pixel = len(source.bands) * np.dtype(source.dtype).itemsize
    side = min(_WINDOW_SIDE, math.isqrt(_MOST_BYTES // pixel) // _WINDOWS_A_SIDE)
    rows, cols = _spread(source.height, side), _spread(source.width, side)
    with source.open() as reader:
        windows = [
            reader.read(row, col, height, width) for row, height in rows for col, width in cols
        ]
    read = sum(valid.size for _, valid in windows)
    return Sample(
        np.concatenate([pixels.reshape(len(pixels), -1) for pixels, _ in windows], axis=1),
        np.concatenate([valid.ravel() for _, valid in windows]),
        read / (source.height * source.width),
    )


def _spread(length: int, side: int) -> list[tuple[int, int]]:
    """Starts and lengths of the windows along an axis: the ends are among them, none overlap."""
    if length <= _WINDOWS_A_SIDE * side:
        return [(0, length)]
    last = _WINDOWS_A_SIDE - 1
    return [(round(step * (length - side) / last), side) for step in range(_WINDOWS_A_SIDE)]
