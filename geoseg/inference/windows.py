"""What the network is given of each window of a block: its pixels, or maps that windows share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.inference.feature_strip import FeatureStrip
from geoseg.inference.predictor import Predictor
from geoseg.inference.stitching import Scores
from geoseg.inference.strips import FreshRows, Strip, read_rows
from geoseg.inference.transfers import Uploader
from geoseg.models.context.base import Maps
from geoseg.prefetch import prefetch
from geoseg.raster import Source
from geoseg.tiling import Block, Cells, Window


class PixelWindows:
    """Each window is run by itself, from its pixels."""

    def __init__(self, block: Block, source: Source, predictor: Predictor) -> None:
        self._grid, self._source, self._predictor = block.grid, source, predictor
        self._first = block.grid.window_at(0, block.lattice_cols[0])
        self._width = block.grid.window_at(0, block.lattice_cols[-1]).col_end - self._first.col
        self._strip = _make_strip(source, predictor, self._first.height, self._width)

    def rows(self, lattice_rows: Sequence[int]) -> Iterator[int]:
        """Go down to each of these lattice rows, which are given back.

        Raises:
            SourceError: the raster cannot be read, or holds values that nobody can have measured.
        """
        places = [self._grid.window_at(row, 0) for row in lattice_rows]
        areas = [Window(each.row, self._first.col, each.height, self._width) for each in places]
        fresh = _read_ahead(self._source, areas, self._predictor)
        for row, rows in zip(lattice_rows, fresh, strict=True):
            self._strip.roll_to(rows)
            yield row

    def has_wanted(self, window: Window) -> bool:
        """Whether any pixel of a window is valid and gets a class."""
        return self._strip.has_wanted(window)

    def wanted(self, area: Window) -> Tensor:
        """``(height, width)`` bool on the device: the pixels that get a class; a view."""
        return self._strip.wanted(area)

    def given(self, window: Window) -> Tensor:
        """What `scores` takes of a window; on a CPU a view that the next row overwrites."""
        pixels = self._strip.window(window)
        # Those that the far edges cut off are padded as the network does it, to one size.
        down, right = self._first.height - window.height, self._first.width - window.width
        if down or right:
            return F.pad(pixels, (0, right, 0, down), mode="replicate")
        # What stays on the device while the strip rolls on is a copy.
        return pixels.clone() if self._predictor.across else pixels

    def scores(self, given: Sequence[Tensor]) -> Scores:
        """What the network says of windows, ``(n, classes, height, width)``, all of one size.

        At the raster's far edges the scores may reach beyond it.

        Raises:
            ModelError: the windows do not fit into memory.
        """
        return self._predictor.scores(given[0] if len(given) == 1 else torch.cat(list(given)))


class SharedWindows:
    """Windows are cut from the maps of cells, each of which is encoded once."""

    def __init__(self, block: Block, cells: Cells, source: Source, predictor: Predictor) -> None:
        self._grid, self._cells = block.grid, cells
        self._source, self._predictor = source, predictor
        self._features = FeatureStrip(
            block, cells, predictor.pitch, predictor.encode, len(source.bands), predictor.device
        )
        columns = self._features.cell_cols
        first, last = (self._features.seen(0, columns[end]) for end in (0, -1))
        self._left, self._width = first.col, last.col_end - first.col
        height = min(block.grid.height, cells.size + 2 * cells.halo)
        self._strip = _make_strip(source, predictor, height, self._width)

    def rows(self, lattice_rows: Sequence[int]) -> Iterator[int]:
        """Go down to each of these lattice rows, which are given back; encode what they need.

        Raises:
            SourceError: the raster cannot be read, or holds values that nobody can have measured.
            ModelError: a cell does not fit into memory.
        """
        covering = {row: self._covering(row) for row in lattice_rows}
        cell_rows = sorted({cell for cells in covering.values() for cell in cells})
        seen = [self._features.seen(row, 0) for row in cell_rows]
        areas = [Window(each.row, self._left, each.height, self._width) for each in seen]
        fresh = zip(cell_rows, _read_ahead(self._source, areas, self._predictor), strict=True)
        there = -1
        for row in lattice_rows:
            self._features.roll_to(self._grid.row_starts[row])
            while there < covering[row][-1]:
                there, rows = next(fresh)
                self._strip.roll_to(rows)
                self._features.add(there, self._strip)
            yield row

    def _covering(self, lattice_row: int) -> range:
        """Rows of cells under a lattice row."""
        window = self._grid.window_at(lattice_row, 0)
        return self._cells.covering(window.row, window.row_end)

    def has_wanted(self, window: Window) -> bool:
        """Whether any pixel of a window is valid and gets a class."""
        return self._features.has_wanted(window)

    def wanted(self, area: Window) -> Tensor:
        """``(height, width)`` bool on the device: the pixels that get a class; a view."""
        return self._features.wanted(area)

    def given(self, window: Window) -> Maps:
        """What `scores` takes of a window; on a CPU a view that the next row overwrites."""
        maps = self._features.window(window)
        if not self._predictor.across:
            return maps
        return {name: x.clone() for name, x in maps.items()}

    def scores(self, given: Sequence[Maps]) -> Scores:
        """What the network says of windows; see `PixelWindows.scores`."""
        return self._predictor.context_scores(
            {name: torch.cat([maps[name] for maps in given]) for name in given[0]}
        )


Windows = PixelWindows | SharedWindows
"""The windows of one lattice row of a block after another, each ready to be run."""


def make_windows(block: Block, source: Source, predictor: Predictor) -> Windows:
    """The windows of a block as its lattice has them."""
    cells = block.grid.cells
    if cells is None:
        return PixelWindows(block, source, predictor)
    return SharedWindows(block, cells, source, predictor)


def _make_strip(source: Source, predictor: Predictor, height: int, width: int) -> Strip:
    return Strip((len(source.bands), height, width), predictor.normalize, predictor.device)


def _read_ahead(
    source: Source, areas: Sequence[Window], predictor: Predictor
) -> Iterator[FreshRows]:
    fresh = read_rows(source, areas, Uploader(predictor.device), predictor.ranges)
    # A thread for one strip would cost more than it: in each new one, PROJ opens its database.
    return fresh if len(areas) == 1 else prefetch(fresh, 1, "geoseg-reader")
