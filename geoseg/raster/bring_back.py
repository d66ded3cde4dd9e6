"""Outputs of a resampled raster brought back to the pixels of its source: nearest, or bilinear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as FileWindow

from geoseg.raster.part import BLOCK, large_profile
from geoseg.raster.pieces import Pieces
from geoseg.raster.read_cost import PIECE_BYTES
from geoseg.raster.resampling import Taps, taps_of, weighted
from geoseg.tiling import Window


@dataclass(frozen=True, slots=True)
class Onto:
    """From the pixels that were predicted to those that a file has."""

    height: int
    """Of the raster that was predicted, pixels."""
    width: int
    scale: tuple[float, float]
    """Its rows and columns a row and a column of the file's raster."""

    def needed(self, shown: Window) -> Window:
        """What of the predicted raster a window of the file's raster is made of."""
        rows, cols = self._rows(shown.row, shown.row_end), self._cols(shown)
        return Window(rows.first, cols.first, rows.end - rows.first, cols.end - cols.first)

    def _rows(self, start: int, stop: int) -> Taps:
        return taps_of(start, stop, self.scale[0], self.height)

    def _cols(self, shown: Window) -> Taps:
        return taps_of(shown.col, shown.col_end, self.scale[1], self.width)

    def bring_back(
        self, base: Path, out: Path, shown: Window, *, bilinear: bool
    ) -> NDArray[np.int64]:
        """Write what a plain file of `needed` pixels shows on the file's raster.

        A pixel has the label of the one that holds its centre.

        Args:
            base: the plain file.
            out: the new one, as plain.
            shown: a window of the file's raster.
            bilinear: interpolate between valid pixels instead; a mask is taken over.

        Returns:
            The pixels of each value 0..255 of the first band.
        """
        counts = np.zeros(256, np.int64)
        with rasterio.open(base) as below:
            bands = below.count
            profile = large_profile(bands, shown.height, shown.width)
            with rasterio.open(out, "w", **profile) as file:
                # Whole tiles, so that each is compressed once.
                for row in range(shown.row, shown.row_end, BLOCK):
                    for col in range(shown.col, shown.col_end, _columns(bands)):
                        height = min(BLOCK, shown.row_end - row)
                        width = min(_columns(bands), shown.col_end - col)
                        tiles = Window(row, col, height, width)
                        pixels, valid = self._tiles(below, tiles, shown, counts, bilinear=bilinear)
                        place = FileWindow(col - shown.col, row - shown.row, width, height)
                        file.write(pixels, window=place)
                        if bilinear:
                            file.write_mask(valid, window=place)
        return counts

    def _tiles(
        self, below: Any, tiles: Window, shown: Window, counts: NDArray[np.int64], *, bilinear: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """All bands of some tiles, made piece by piece; the values of the first are counted."""
        pixels = np.empty((below.count, tiles.height, tiles.width), np.uint8)
        valid = np.ones(pixels.shape[1:], np.bool_)
        stored = self.needed(shown)
        for piece in self._pieces.cut(tiles):
            place = piece.slices(tiles.row, tiles.col)
            rows, cols = self._rows(piece.row, piece.row_end), self._cols(piece)
            strip = FileWindow(
                cols.first - stored.col,
                rows.first - stored.row,
                cols.end - cols.first,
                rows.end - rows.first,
            )
            if bilinear:
                valid[place] = _interpolate(below, strip, rows, cols, pixels[:, *place])
            else:
                for band, plane in enumerate(pixels, 1):
                    labels = below.read(band, window=strip)
                    plane[place] = labels[rows.nearest][:, cols.nearest]
            counts += np.bincount(pixels[0, *place].ravel(), minlength=256)
        return pixels, valid

    @property
    def _pieces(self) -> Pieces:
        down, across = self.scale
        # Pixels below as bytes and as numbers, sums down and along, and what they are made of.
        return Pieces.of(16 * down * across + 20 * (across + 1) + 16)


def _columns(bands: int) -> int:
    """Columns of tiles that are made at once."""
    return max(1, PIECE_BYTES // (bands * BLOCK**2)) * BLOCK


def brought_back_bytes(bands: int) -> int:
    """Bytes that are held while a file of so many bands is brought back."""
    return PIECE_BYTES + 2 * (bands + 1) * BLOCK * _columns(bands)  # some stay until the next come


def _interpolate(
    below: Any, strip: FileWindow, rows: Taps, cols: Taps, out: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Fill all bands of a piece; which of its pixels are valid."""
    is_valid = below.read_masks(1, window=strip) != 0
    weights = is_valid.astype(np.float32)
    total = weighted(weighted(weights, rows, 0), cols, 1)
    safe = np.where(total > 0, total, 1)
    valid: NDArray[np.bool_] = is_valid[rows.nearest][:, cols.nearest]
    for band, plane in enumerate(out, 1):
        values = below.read(band, window=strip) * weights
        values = weighted(weighted(values, rows, 0), cols, 1)
        np.copyto(plane, np.where(valid, np.rint(values / safe), 0), casting="unsafe")
    return valid
