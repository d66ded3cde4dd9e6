"""Scores of windows in, finished bands of classes out, where the network runs.

Windows come lattice row by lattice row, from left to right. What a lattice row finishes is a
*band*: the rows that no later window sees (`blend`), or those to which its windows are the nearest
(`crop`). All of it is tensors of one device, a CPU or a GPU. Where nothing is blended, the highest
score is the class whatever it is, so probabilities are made only where they are asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from geoseg.inference.decision import (
    Asked,
    Decision,
    argmax,
    classify,
    decision_of,
    pieces_of,
)
from geoseg.inference.rolling import move_up
from geoseg.tiling import Block, Window, edge_weights, weight_totals


class Scores(NamedTuple):
    """What the network says of a batch of windows, or of one."""

    values: Tensor
    """``(..., classes, height, width)`` float32."""
    logits: bool
    """They become probabilities by softmax; else they are probabilities."""

    def planes(self, rows: slice) -> Scores:
        """Those of some rows, class by class.

        Of networks that give the classes of a pixel side by side, a look at a class takes twice as
        long.
        """
        values = self.values[..., rows, :]
        return Scores(values if values.stride(-1) == 1 else values.contiguous(), self.logits)

    def probabilities(self, rows: slice = slice(None)) -> Tensor:
        """``(..., classes, rows, width)`` of some rows, in new memory."""
        values = self.values[..., rows, :]
        if not self.logits:
            return values.clone(memory_format=torch.contiguous_format)
        # torch's softmax is fastest over a strided class axis: planes, not interleaved classes.
        return torch.softmax(values.contiguous(), dim=-3)


class BlendStitcher:
    """Weighted sums over all windows that see a pixel, in a buffer as high as one window.

    The buffer rolls down with the lattice. When lattice row i + 1 begins, the rows above its
    windows are finished: they were returned as band i, and make room for new zeros below.

        raster row   0  +-------+            buffer at row i          buffer at row i + 1
                        | row i |            +-------------+
               stride   |   +-------+        |   band i    |
                        +---|       |        +-------------+          +-------------+
                            |  i+1  |        | sums so far |    ->    | sums so far |
                            +-------+        +-------------+          |    zeros    |
                                                                      +-------------+

    A pixel's sum is made in row-major order of its windows, whatever the block. So its bits do not
    depend on where blocks were cut: float addition gives other bits in another order.
    """

    def __init__(self, block: Block, classes: int, device: torch.device, asked: Asked) -> None:
        grid = block.grid
        self._block, self._device, self._asked = block, device, asked
        self._top = grid.row_starts[block.lattice_rows[0]]  # raster row of the buffer's first row
        self._sums = torch.zeros(
            (classes, min(grid.window, grid.height), block.area.width), device=device
        )
        # Weights are separable, and so are their sums over the lattice. All windows count, also
        # those left out for having no valid pixel: a valid pixel lies in none of them.
        self._row_totals, self._col_totals = (
            torch.from_numpy(weight_totals(starts, length, grid.window, grid.overlap)).to(device)
            for starts, length in ((grid.row_starts, grid.height), (grid.col_starts, grid.width))
        )
        self._weights: dict[tuple[bool, bool, bool, bool], Tensor] = {}

    def add(self, lattice_row: int, lattice_col: int, scores: Scores) -> Tensor:
        """Add a window's ``(classes, height, width)`` scores, weighted.

        Returns:
            A number, on the device, that is finite where all of the scores are.
        """
        window = self._block.grid.window_at(lattice_row, lattice_col)
        # Only columns are cut: rows outside of the block are summed too, and never returned.
        area = self._block.area
        left, right = max(window.col, area.col), min(window.col_end, area.col_end)
        cols = slice(left - window.col, right - window.col)
        weights = self._weights_at(lattice_row, lattice_col)
        self._roll_to(window.row)
        sums = self._sums[:, :, left - area.col : right - area.col]
        total = torch.zeros((), device=self._device)
        for rows in pieces_of(scores.values):
            # Whole rows of the window: what a vector of the processor holds never depends on the
            # block, so neither do the last bits of its exponentials.
            probabilities = scores.probabilities(rows)
            total += probabilities[0].sum()  # NaN and infinite logits make NaN of all classes
            weighted = probabilities[:, :, cols]
            weighted *= weights[rows, cols]
            sums[:, rows] += weighted
        return total

    def finish(self, band: Window) -> tuple[Tensor, Tensor]:
        """Scores ``(classes, height, width)`` of a band, and its ``(height, width)`` weight sums.

        The scores are a view that the next `add` overwrites.
        """
        # Rows above the band were returned before. The buffer still lies there where no window
        # of the band's own lattice row was run.
        self._roll_to(band.row)
        rows, cols = band.slices()
        totals = self._row_totals[rows, None] * self._col_totals[None, cols]
        return self._sums[:, : band.height], totals

    def decide(self, band: Window, valid: Tensor) -> Decision:
        """The classes of a band; `valid` is ``(height, width)`` bool."""
        return classify(*self.finish(band), valid, self._asked)

    def _roll_to(self, top: int) -> None:
        """Drop the rows above `top`, which are finished, and make room below."""
        gone = top - self._top
        if gone:
            kept = move_up(self._sums, gone)
            self._sums[:, kept:] = 0.0
            self._top = top

    def _weights_at(self, lattice_row: int, lattice_col: int) -> Tensor:
        """``(window, window)`` weights; they do not fade towards the raster's own edge."""
        grid = self._block.grid
        edges = (
            lattice_row == 0,
            lattice_row == len(grid.row_starts) - 1,
            lattice_col == 0,
            lattice_col == len(grid.col_starts) - 1,
        )
        if edges not in self._weights:
            down = edge_weights(grid.window, grid.overlap, first=edges[0], last=edges[1])
            across = edge_weights(grid.window, grid.overlap, first=edges[2], last=edges[3])
            weights = torch.from_numpy(down[:, None] * across)
            self._weights[edges] = weights.to(self._device)
        return self._weights[edges]


class CropStitcher:
    """Each pixel from the one window whose centre is nearest; blocks are cut on these borders."""

    def __init__(self, block: Block, classes: int, device: torch.device, asked: Asked) -> None:
        self._block, self._classes, self._device, self._asked = block, classes, device, asked
        self._decided = self._empty()

    def _empty(self) -> Decision:
        shape = (self._block.tallest_band, self._block.area.width)
        return Decision.empty(self._classes, *shape, self._device, self._asked)

    def add(self, lattice_row: int, lattice_col: int, scores: Scores) -> Tensor:
        """Decide what a window owns, by its ``(classes, height, width)`` scores.

        Returns:
            A number, on the device, that is finite where all of these scores are.
        """
        grid, area = self._block.grid, self._block.area
        window = grid.window_at(lattice_row, lattice_col)
        top, bottom = grid.row_edges[lattice_row], grid.row_edges[lattice_row + 1]
        left, right = grid.col_edges[lattice_col], grid.col_edges[lattice_col + 1]
        total = torch.zeros((), device=self._device)
        owned = Window(top, left, bottom - top, right - left).intersect(area)
        if owned is None:
            return total
        own, cols = owned.slices(window.row, window.col)
        _, place = owned.slices(0, area.col)
        for piece in pieces_of(scores.values):
            rows = slice(max(piece.start, own.start), min(piece.stop, own.stop))
            if rows.start < rows.stop:
                inside = slice(rows.start - piece.start, rows.stop - piece.start)
                decision, check = self._decide(scores.planes(piece), inside, cols)
                total += check
                here = slice(rows.start - own.start, rows.stop - own.start)
                self._decided.put(decision, here, place)
        return total

    def _decide(self, scores: Scores, rows: slice, cols: slice) -> tuple[Decision, Tensor]:
        """Of some rows and columns of a piece of a window; and a check of them."""
        winner, best = argmax(scores.values[:, rows, cols])
        check = best.sum()  # of the highest: NaN and infinity of any class are among them
        spread = None
        if self._asked.probabilities or self._asked.least_or_confidence:
            # Whole rows of the window: see `BlendStitcher.add`.
            spread = scores.probabilities()[:, rows, cols]
            best = spread.amax(0)
        return decision_of(winner, best, spread, self._asked), check

    def decide(self, band: Window, valid: Tensor) -> Decision:
        """The classes of a band; `valid` is ``(height, width)`` bool."""
        decided, self._decided = self._decided, self._empty()
        return decided.at(band.height, valid)


Stitcher = BlendStitcher | CropStitcher
"""Takes the windows of a block, row by row, and decides what each lattice row finishes."""


def make_stitcher(block: Block, classes: int, device: torch.device, asked: Asked) -> Stitcher:
    """The stitcher that the block's grid asks for."""
    kind = CropStitcher if block.grid.stitch == "crop" else BlendStitcher
    return kind(block, classes, device, asked)
