"""The maps of the cells under one lattice row of a block: each cell is encoded once.

cell rows      | 0 ............ | 1 ............ | 2 .....
lattice row i      [--- window ---]                          cells 0 and 1 are there
strip              [------ maps ---------------]
lattice row i+1              [--- window ---]                cell 1 still is, 0 is given up
strip                        [-----------------]
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import torch
from torch import Tensor

from geoseg.inference.rolling import move_up
from geoseg.inference.strips import Strip
from geoseg.models.context.base import Maps
from geoseg.tiling import Block, Cells, Window


class FeatureStrip:
    """Maps below a row of the raster, as far down as cells were added; which pixels get a class.

    Args:
        block: whose windows see the maps.
        cells: in what the raster is encoded.
        pitch: pixels from one position of the maps to the next; windows and cells start at
            multiples.
        encode: the maps of an image ``(1, bands, height, width)``, normalized.
        bands: of such an image.
        device: where all this lies.
    """

    def __init__(
        self,
        block: Block,
        cells: Cells,
        pitch: int,
        encode: Callable[[Tensor], Maps],
        bands: int,
        device: torch.device,
    ) -> None:
        grid = block.grid
        self._grid, self._cells, self._pitch = grid, cells, pitch
        self._encode, self._bands, self._device = encode, bands, device
        first, last = (grid.window_at(0, block.lattice_cols[end]) for end in (0, -1))
        self._left, self._right = first.col, last.col_end
        self.cell_cols = cells.covering(self._left, self._right)
        """Columns of cells that the block's windows see."""
        self._top = 0
        rows = ceil(first.height / pitch) + ceil(cells.size / pitch)
        self._rows = min(rows, ceil(grid.height / pitch))
        self._cols = ceil((self._right - self._left) / pitch)
        self._maps: Maps = {}
        shape = (self._rows * pitch, self._right - self._left)
        self._known = np.zeros(shape, np.bool_)
        self._there = torch.zeros(shape, dtype=torch.bool, device=device)
        # Cells that no window may see, as none of their pixels gets a class: not encoded yet. None:
        # of invalid pixels alone.
        self._waiting: dict[tuple[int, int], Tensor | None] = {}

    def roll_to(self, top: int) -> None:
        """Give up the rows above `top`, and so make room below."""
        gone = top - self._top
        self._top = top
        if gone == 0:
            return
        for maps in self._maps.values():
            move_up(maps, gone // self._pitch)
        move_up(self._there, gone)
        kept = max(0, len(self._known) - gone)
        self._known[:kept] = self._known[gone : gone + kept]
        for cell in list(self._waiting):
            if self._core(*cell).row_end <= top:
                del self._waiting[cell]

    def add(self, cell_row: int, strip: Strip) -> None:
        """Add a row of cells, from the pixels that they see."""
        top, end = self._cells.core(cell_row, self._grid.height)
        top = max(top, self._top)
        area = Window(top, self._left, end - top, self._right - self._left)
        rows, cols = area.slices(self._top, self._left)
        self._there[rows, cols] = strip.wanted(area)
        self._known[rows, cols] = strip.known_wanted(area)
        for col in self.cell_cols:
            seen = self.seen(cell_row, col)
            pixels = strip.window(seen)
            if strip.has_wanted(seen):
                self._put(cell_row, col, self._encode(pixels))
            else:
                self._waiting[cell_row, col] = pixels.clone() if pixels.any() else None

    def window(self, window: Window) -> Maps:
        """The maps ``(1, C, h, w)`` under a window: views that the next `roll_to` overwrites."""
        for cell in list(self._waiting):
            if self._core(*cell).intersect(window) is not None:
                self._put(*cell, self._encode(self._left_over(cell)))
        rows, cols = self._positions(window)
        return {name: maps[:, :, rows, cols] for name, maps in self._maps.items()}

    def wanted(self, window: Window) -> Tensor:
        """``(height, width)`` bool on the device: the pixels that get a class; likewise a view."""
        return self._there[window.slices(self._top, self._left)]

    def has_wanted(self, window: Window) -> bool:
        """Whether any pixel of a window is valid and gets a class."""
        return bool(self._known[window.slices(self._top, self._left)].any())

    def seen(self, cell_row: int, cell_col: int) -> Window:
        """What a cell sees of the raster."""
        top, bottom = self._cells.seen(cell_row, self._grid.height)
        left, right = self._cells.seen(cell_col, self._grid.width)
        return Window(top, left, bottom - top, right - left)

    def _left_over(self, cell: tuple[int, int]) -> Tensor:
        """What a waiting cell sees; it waits no more."""
        pixels = self._waiting.pop(cell)
        if pixels is not None:
            return pixels
        seen = self.seen(*cell)
        shape = (1, self._bands, seen.height, seen.width)
        return torch.zeros(shape, device=self._device)  # as invalid pixels are normalized

    def _core(self, cell_row: int, cell_col: int) -> Window:
        top, bottom = self._cells.core(cell_row, self._grid.height)
        left, right = self._cells.core(cell_col, self._grid.width)
        return Window(top, left, bottom - top, right - left)

    def _put(self, cell_row: int, cell_col: int, maps: Maps) -> None:
        """Keep what the strip has room for of a cell's core."""
        strip = Window(self._top, self._left, self._rows * self._pitch, self._right - self._left)
        kept = self._core(cell_row, cell_col).intersect(strip)
        if kept is None:
            return
        if not self._maps:
            self._maps = {name: self._new_like(x) for name, x in maps.items()}
        seen = self.seen(cell_row, cell_col)
        rows, cols = self._positions(kept)
        there = [
            slice(
                (start - origin) // self._pitch,
                (start - origin) // self._pitch + part.stop - part.start,
            )
            for start, origin, part in (
                (kept.row, seen.row, rows),
                (kept.col, seen.col, cols),
            )
        ]
        for name, x in maps.items():
            self._maps[name][:, :, rows, cols] = x[:, :, there[0], there[1]]

    def _positions(self, window: Window) -> tuple[slice, slice]:
        """Rows and columns of the strip's maps under a window, the last ones begun pixels too."""
        return (
            slice(
                (window.row - self._top) // self._pitch,
                ceil((window.row_end - self._top) / self._pitch),
            ),
            slice(
                (window.col - self._left) // self._pitch,
                ceil((window.col_end - self._left) / self._pitch),
            ),
        )

    def _new_like(self, x: Tensor) -> Tensor:
        shape = (1, x.shape[1], self._rows, self._cols)
        return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
