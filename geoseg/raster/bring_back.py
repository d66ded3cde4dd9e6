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
        stored, cols = self.needed(shown), self._cols(shown)
        counts = np.zeros(256, np.int64)
        with rasterio.open(base) as below:
            profile = large_profile(below.count, shown.height, shown.width)
            with rasterio.open(out, "w", **profile) as file:
                for row in range(shown.row, shown.row_end, BLOCK):
                    height = min(BLOCK, shown.row_end - row)
                    rows = self._rows(row, row + height)
                    strip = FileWindow(
                        0, rows.first - stored.row, stored.width, rows.end - rows.first
                    )
                    place = FileWindow(0, row - shown.row, shown.width, height)
                    pixels, valid = _read(below, strip, rows, cols, bilinear=bilinear)
                    file.write(pixels, window=place)
                    if bilinear:
                        file.write_mask(valid, window=place)
                    counts += np.bincount(pixels[0].ravel(), minlength=256)
        return counts


def _read(
    below: Any, strip: FileWindow, rows: Taps, cols: Taps, *, bilinear: bool
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    pixels = below.read(window=strip)
    if not bilinear:
        near = pixels[:, rows.nearest][:, :, cols.nearest]
        return near, np.ones(near.shape[1:], np.bool_)
    is_valid = below.read_masks(1, window=strip) != 0
    weights = is_valid.astype(np.float32)
    total = weighted(weighted(weights, rows, 0), cols, 1)
    values = weighted(weighted(pixels * weights, rows, 1), cols, 2)
    found = np.rint(values / np.where(total > 0, total, 1)).astype(np.uint8)
    valid = is_valid[rows.nearest][:, cols.nearest]
    found[:, ~valid] = 0
    return found, valid
