"""The pixels under one row of windows or cells, read ahead, sent to the device once, normalized.

reader's thread    | rows of i+1 |    read, checked, sent: those that no row before has
caller's thread    | row i       |    normalized into a strip that rolls down the block
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.inference.normalize import Normalization
from geoseg.inference.rolling import move_up
from geoseg.inference.transfers import Sent, Uploader
from geoseg.raster import Source
from geoseg.raster.undeclared import PREDICT, refuse_impossible
from geoseg.tiling import Window
from geoseg.value_ranges import Range


@dataclass(frozen=True, slots=True)
class FreshRows:
    """What a strip needs besides what the strip before it had."""

    area: Window
    """Of the whole strip; the rows are its last ones."""
    sent: Sent
    """Pixels ``(bands, rows, width)``, validity and `wanted`."""
    wanted: NDArray[np.bool_]
    """The valid pixels of these rows that get a class, ``(rows, width)``."""


def read_rows(
    source: Source,
    areas: Sequence[Window],
    uploader: Uploader,
    ranges: tuple[Range, ...] | None,
) -> Generator[FreshRows]:
    """What each strip adds to the one before; each pixel is read and sent once.

    Args:
        source: the raster.
        areas: strips of one width, from top to bottom.
        uploader: to the device.
        ranges: of each band; values that cannot lie there are refused, for they would spoil all
            windows that they touch; None: all are taken.

    Raises:
        SourceError: the raster cannot be read, or holds values that nobody can have measured.
    """
    read = 0
    no_row = np.empty((0, areas[0].width), np.bool_)
    nothing = (np.empty((len(source.bands), *no_row.shape), source.dtype), no_row, no_row)
    with source.open() as reader:
        for area in areas:
            place = (max(area.row, read), area.col)
            rows = area.row_end - place[0]
            if rows == 0:  # two cells see the same last row of the raster
                yield FreshRows(area, uploader.send(*nothing), nothing[2])
                continue
            pixels, valid = reader.read(*place, rows, area.width)
            if ranges is not None:
                refuse_impossible(source, pixels, valid, ranges, PREDICT, place)
            read = area.row_end
            wanted = source.wanted(valid, Window(*place, *valid.shape))
            yield FreshRows(area, uploader.send(pixels, valid, wanted), wanted)


class Strip:
    """Normalized pixels, and which get a class, of one area after another down the raster.

    Args:
        shape: bands of the pixels, rows of the highest area, and columns.
        normalize: what makes a network's input of them.
        device: where the network runs.
    """

    def __init__(
        self, shape: tuple[int, int, int], normalize: Normalization, device: torch.device
    ) -> None:
        self._normalize = normalize
        self._area = Window(0, 0, 1, 1)
        self._wanted = np.empty(shape[1:], np.bool_)
        self._pixels = torch.empty((1, *shape), device=device)
        self._there = torch.empty(shape[1:], dtype=torch.bool, device=device)  # `_wanted` on it

    def roll_to(self, fresh: FreshRows) -> None:
        """Go down to the next area: keep the rows that it shares, add those that are new."""
        pixels, valid, wanted = fresh.sent.take()
        area, gone = fresh.area, fresh.area.row - self._area.row
        kept = area.height - len(wanted)
        if kept:
            move_up(self._pixels, gone)
            move_up(self._there, gone)
            self._wanted[:kept] = self._wanted[gone : gone + kept]
        rows = slice(kept, area.height)
        self._normalize.fill(self._pixels[:, :, rows], pixels[None], valid[None])
        self._there[rows], self._wanted[rows] = wanted, fresh.wanted
        self._area = area

    def window(self, window: Window) -> Tensor:
        """``(1, bands, height, width)``: a view that the next `roll_to` overwrites."""
        rows, cols = window.slices(self._area.row, self._area.col)
        return self._pixels[:, :, rows, cols]

    def wanted(self, window: Window) -> Tensor:
        """``(height, width)`` bool on the device: the valid pixels that get a class; a view."""
        return self._there[window.slices(self._area.row, self._area.col)]

    def has_wanted(self, window: Window) -> bool:
        """Whether any pixel of a window is valid and gets a class."""
        return bool(self.known_wanted(window).any())

    def known_wanted(self, window: Window) -> NDArray[np.bool_]:
        """What `wanted` gives, without asking the device."""
        return self._wanted[window.slices(self._area.row, self._area.col)]
