"""Scores of windows in, finished bands of classes out, where the network runs.

Windows come lattice row by lattice row, from left to right. What a lattice row finishes is a
*band*: the rows that no later window sees (`blend`), or those to which its windows are the nearest
(`crop`). All of it is tensors of one device, a CPU or a GPU.

On a CPU a few rows at a time go through all steps, as long as they are in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.inference.rolling import move_up
from geoseg.tiling import Block, Window, edge_weights, weight_totals

_CACHED_BYTES = 2**19
"""Of the scores that go through all steps together on a CPU."""


class Scores(NamedTuple):
    """What the network says of a batch of windows, or of one."""

    values: Tensor
    """``(..., classes, height, width)`` float32."""
    logits: bool
    """They become probabilities by softmax; else they are probabilities."""

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

    def __init__(self, block: Block, classes: int, device: torch.device) -> None:
        grid = block.grid
        self._block, self._device = block, device
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
        for rows in _pieces(scores.values):
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

    def __init__(self, block: Block, classes: int, device: torch.device) -> None:
        self._block = block
        self._scores = torch.zeros((classes, block.tallest_band, block.area.width), device=device)

    def add(self, lattice_row: int, lattice_col: int, scores: Scores) -> Tensor:
        """Take what a window owns of its ``(classes, height, width)`` scores.

        Returns:
            A number, on the device, that is finite where all of these scores are.
        """
        grid, area = self._block.grid, self._block.area
        window = grid.window_at(lattice_row, lattice_col)
        top, bottom = grid.row_edges[lattice_row], grid.row_edges[lattice_row + 1]
        left, right = grid.col_edges[lattice_col], grid.col_edges[lattice_col + 1]
        total = torch.zeros((), device=self._scores.device)
        owned = Window(top, left, bottom - top, right - left).intersect(area)
        if owned is None:
            return total
        own, cols = owned.slices(window.row, window.col)
        _, place = owned.slices(0, area.col)
        for piece in _pieces(scores.values):
            first, end = max(piece.start, own.start), min(piece.stop, own.stop)
            if first < end:
                probabilities = scores.probabilities(piece)  # whole rows: see `BlendStitcher.add`
                total += probabilities[0].sum()
                kept = probabilities[:, first - piece.start : end - piece.start, cols]
                self._scores[:, first - own.start : end - own.start, place] = kept
        return total

    def finish(self, band: Window) -> tuple[Tensor, None]:
        """Scores ``(classes, height, width)`` of a band, as a view; no weights, as all are 1."""
        return self._scores[:, : band.height], None


Stitcher = BlendStitcher | CropStitcher
"""Takes the windows of a block, row by row, and returns what each lattice row finishes."""


def make_stitcher(block: Block, classes: int, device: torch.device) -> Stitcher:
    """The stitcher that the block's grid asks for."""
    kind = CropStitcher if block.grid.stitch == "crop" else BlendStitcher
    return kind(block, classes, device)


class Decision(NamedTuple):
    """The classes of a band, still on the device; see `Band`."""

    labels: Tensor
    confidence: Tensor
    probabilities: Tensor | None


def classify(
    scores: Tensor,
    totals: Tensor | None,
    valid: Tensor,
    *,
    min_confidence: float = 0.0,
    probabilities: bool = False,
) -> Decision:
    """A band's classes: the highest score, ties to the lowest id.

    Args:
        scores: ``(classes, height, width)`` float32 sums of probabilities.
        totals: ``(height, width)`` float32 weight sums; None where they are 1.
        valid: ``(height, width)`` bool.
        min_confidence: valid pixels whose probability is below it get 254.
        probabilities: also return the probabilities of all classes.
    """
    labels = torch.empty(valid.shape, dtype=torch.uint8, device=valid.device)
    confidence = torch.empty_like(labels)
    spread = scores.new_empty(scores.shape, dtype=torch.uint8) if probabilities else None
    for rows in _pieces(scores, planes=3):  # each class is looked at once, and then no more
        invalid = ~valid[rows]
        winner, best = _argmax(scores[:, rows])
        if totals is not None:
            best /= totals[rows]
        if min_confidence > 0.0:
            winner.masked_fill_(best < min_confidence, UNCERTAIN)
        labels[rows] = winner.masked_fill_(invalid, NODATA)
        confidence[rows] = _quantized(best).masked_fill_(invalid, 0)
        if spread is not None:
            each = scores[:, rows] if totals is None else scores[:, rows] / totals[rows]
            spread[:, rows] = _quantized(each).masked_fill_(invalid, 0)
    return Decision(labels, confidence, spread)


def _argmax(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The class of the highest score, uint8, and that score; `Tensor.max` takes 4 times as long."""
    best = scores[0].clone()
    winner = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    mark = torch.empty_like(winner)
    for class_id, plane in enumerate(scores[1:], 1):
        torch.gt(plane, best, out=mark.view(torch.bool))  # not >=: ties stay with the lower id
        # Ids rise, so the latest that was higher is the highest that was.
        torch.maximum(winner, mark.mul_(class_id), out=winner)
        torch.maximum(best, plane, out=best)
    return winner, best


def _quantized(probability: Tensor) -> Tensor:
    """``round(255 p)``; rounding errors may lift a mean of probabilities just above 1."""
    return probability.clamp(max=1.0).mul_(255.0).round_().to(torch.uint8)


def _pieces(scores: Tensor, planes: int | None = None) -> Iterator[slice]:
    """Rows of ``(classes, height, width)`` that are worked on together.

    Args:
        scores: of which rows are taken.
        planes: float32 values of a pixel that are touched again and again; None: all classes.
    """
    classes, height, width = scores.shape
    step = height
    if scores.device.type == "cpu":
        step = max(1, _CACHED_BYTES // (4 * (planes or classes) * width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))
