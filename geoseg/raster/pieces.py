"""Rasters that are made of others while they are read, piece by piece.

What a pixel is made of takes more memory than the pixel. A pixel is the same, bit for bit, in
whatever window it is read; so a window is read in pieces, and what is held besides it depends on
no window.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.read_cost import PIECE_BYTES
from geoseg.raster.reader import Reader
from geoseg.tiling import Window

_DECODED_BYTES = 16 * 2**20
"""Of the strips that pieces side by side share: GDAL's cache holds them for all of these."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """How windows are cut: no piece has more pixels than fit, and few blocks are decoded twice."""

    pixels: int
    """Of a piece, at most."""
    rows: int
    """Likewise."""
    down_first: bool
    """Those below one another share tiles. Strips, which are as wide as a file, are shared by those
    side by side."""

    @classmethod
    def of(cls, pixel_bytes: float, strip_bytes: float = 0.0) -> Pieces:
        """Pieces that take `PIECE_BYTES`.

        Args:
            pixel_bytes: that are held for a pixel.
            strip_bytes: that are decoded for a row, where a file is decoded by whole rows.
        """
        pixels = max(1, int(PIECE_BYTES // pixel_bytes))
        rows = math.isqrt(pixels)
        if strip_bytes:
            rows = min(rows, max(1, int(_DECODED_BYTES // strip_bytes)))
        return cls(pixels, rows, down_first=not strip_bytes)

    def cut(self, window: Window) -> Iterator[Window]:
        """The pieces of a window, in the order in which they are read."""
        high = min(self.rows, window.height)
        across = min(self.pixels // high, window.width)
        rows = range(window.row, window.row_end, high)
        cols = range(window.col, window.col_end, across)
        if self.down_first:
            places = [(row, col) for col in cols for row in rows]
        else:
            places = [(row, col) for row in rows for col in cols]
        for row, col in places:
            height, width = min(high, window.row_end - row), min(across, window.col_end - col)
            yield Window(row, col, height, width)


class PiecedReader(Reader):
    """Windows of a raster that is made of others."""

    pieces: Pieces
    """How its windows are read."""

    def _read(
        self, window: Window, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        shape = window.height, window.width
        pixels = np.empty((self.bands, *shape), self.dtype) if out is None else out
        pixels.fill(0)
        valid = np.zeros(shape, np.bool_)
        for piece in self.pieces.cut(window):
            rows, cols = piece.slices(window.row, window.col)
            self._fill(piece, pixels[:, rows, cols], valid[rows, cols])
        return pixels, valid

    @abstractmethod
    def _fill(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Read a piece into views, which are 0 and not valid."""


def pieces_of_copies(reader: Reader, *, striped: bool) -> Pieces:
    """Those of pixels that are read elsewhere first, with their validity.

    Args:
        reader: of the raster that they are copied into.
        striped: as of `ReadCost`.
    """
    size = np.dtype(reader.dtype).itemsize
    row = reader.width * reader.bands * size
    return Pieces.of((reader.bands + 2) * size + 6, striped * row)


class RegriddedReader(PiecedReader):
    """Windows of a raster on another grid, whose pixels are made of those of a reader.

    Args:
        reader: of the raster; closed with this one.
        height: rows of the grid.
        width: its columns.
    """

    def __init__(self, reader: Reader, height: int, width: int) -> None:
        self.path, self.height, self.width = reader.path, height, width
        self.bands, self.dtype = reader.bands, reader.dtype
        self._reader = reader
        exact = np.dtype(self.dtype).itemsize <= 2 or self.dtype == "float32"
        self._working = np.dtype(np.float32 if exact else np.float64)

    def close(self) -> None:
        """Close the reader below."""
        self._reader.close()

    @property
    def _row_bytes(self) -> int:
        """Of a row of the raster below."""
        return self._reader.width * self.bands * np.dtype(self.dtype).itemsize

    @property
    def _bytes_below(self) -> int:
        """For a pixel below: as it is read, without what is invalid, and as it is worked with."""
        size, working = np.dtype(self.dtype).itemsize, self._working.itemsize
        return self.bands * (2 * size + working) + working + 1
