"""A raster at another ground sampling, made while it is read: means of areas down, bilinear up.

Rows and columns are weighted one after the other, by numbers that depend on their place in the
raster alone: a pixel is the same, bit for bit, in whatever window it is read. Invalid pixels have
no weight. The weights are those of ``gdalwarp -r average`` and ``-r bilinear``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.pieces import Pieces, RegriddedReader
from geoseg.raster.reader import Reader
from geoseg.tiling import Window

Floats = NDArray[np.floating[Any]]


class Taps(NamedTuple):
    """What some pixels along an axis are made of."""

    first: int
    """The first of the pixels below that are needed."""
    end: int
    """One past the last."""
    places: NDArray[np.int64]
    """``(taps, pixels)``, counted from the first."""
    weight: NDArray[np.float64]
    """``(taps, pixels)``, 0 where a pixel has fewer taps."""
    nearest: NDArray[np.int64]
    """``(pixels,)``: the pixel below that holds the centre."""


def taps_of(start: int, stop: int, scale: float, length: int) -> Taps:
    """What the pixels from `start` to before `stop` are made of.

    Args:
        start: first pixel.
        stop: one past the last.
        scale: pixels below a pixel.
        length: of the axis below.
    """
    pixel = np.arange(start, stop)
    nearest = np.clip(np.floor((pixel + 0.5) * scale).astype(np.int64), 0, length - 1)
    if scale > 1:
        low, high = pixel * scale, np.minimum((pixel + 1) * scale, length)
        begin = np.floor(low).astype(np.int64)
        index = begin + np.arange(math.ceil(scale) + 1)[:, None]
        weight = np.minimum(index + 1, high) - np.maximum(index, low)
    else:
        place = (pixel + 0.5) * scale - 0.5
        begin = np.floor(place).astype(np.int64)
        index = begin + np.arange(2)[:, None]
        weight = 1.0 - np.abs(index - place)
    weight = np.where((index >= 0) & (index < length), np.maximum(weight, 0.0), 0.0)
    index = np.clip(index, 0, length - 1)
    first = int(index.min())
    return Taps(first, int(index.max()) + 1, index - first, weight, nearest - first)


def centred(start: int, stop: int, scale: float, length: int, other: int) -> tuple[int, int]:
    """First and end of the pixels whose centres lie between two pixels of another axis.

    Args:
        start: first of them.
        stop: one past the last.
        scale: of them a pixel.
        length: of their axis.
        other: of the axis of the result.
    """
    first, end = (min(other, math.ceil(place / scale - 0.5)) for place in (start, stop))
    # The last pixels may have their centres beyond what they are made of.
    return first, other if stop == length else end


def weighted(values: Floats, taps: Taps, axis: int) -> Floats:
    """Sums along an axis, one tap after the other, so that their bits depend on nothing else."""
    shape = [1] * values.ndim
    shape[axis] = -1
    total = 0
    for index, weight in zip(taps.places, taps.weight.astype(values.dtype), strict=True):
        total = total + values.take(index, axis) * weight.reshape(shape)
    return np.asarray(total)


class ResampledReader(RegriddedReader):
    """Windows of a raster at another ground sampling.

    Args:
        reader: of the raster; closed with this one.
        height: rows.
        width: columns.
        scale: rows and columns of the raster below a row and a column.
        striped: as of `ReadCost`.
    """

    def __init__(
        self,
        reader: Reader,
        height: int,
        width: int,
        scale: tuple[float, float],
        *,
        striped: bool = False,
    ) -> None:
        super().__init__(reader, height, width)
        self._scale = scale
        (down, across), plane = scale, self._working.itemsize
        # Pixels below, sums along columns and then along rows, and what each sum is made of.
        held = down * across * self._bytes_below + 5 * plane * (across + 1) * (self.bands + 1)
        self.pieces = Pieces.of(held, striped * down * self._row_bytes)

    def _fill(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        down, across = self._scale
        rows = taps_of(window.row, window.row_end, down, self._reader.height)
        cols = taps_of(window.col, window.col_end, across, self._reader.width)
        place = (rows.first, cols.first, rows.end - rows.first, cols.end - cols.first)
        below, is_valid = self._reader.read(*place)
        values = np.where(is_valid, below, 0).astype(self._working)
        weights = is_valid.astype(self._working)
        total = weighted(weighted(weights, rows, 0), cols, 1)
        # Where there is more than one below, any of them does; else the one at the centre counts.
        held = weights[rows.nearest] if down <= 1 else weighted(weights, rows, 0)
        valid[:] = (held[:, cols.nearest] if across <= 1 else weighted(held, cols, 1)) > 0
        safe = np.where(total > 0, total, 1)
        found = weighted(weighted(values, rows, 1), cols, 2) / safe
        if np.dtype(self.dtype).kind in "iu":
            np.rint(found, out=found)
        np.copyto(pixels, found, casting="unsafe")
