"""Stitching in plain numpy, a window at a time: what that on tensors is held against.

Windows come lattice row by lattice row, from left to right. What a lattice row finishes is a
*band*: the rows that no later window sees (`blend`), or those to which its windows are the nearest
(`crop`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.inference.band import Band
from geoseg.tiling import Block, Window, edge_weights, weight_totals


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

    def __init__(self, block: Block, classes: int) -> None:
        grid = block.grid
        self._block = block
        self._top = grid.row_starts[block.lattice_rows[0]]  # raster row of the buffer's first row
        self._sums = np.zeros(
            (classes, min(grid.window, grid.height), block.area.width), np.float32
        )
        # Weights are separable, and so are their sums over the lattice. All windows count, also
        # those left out for having no valid pixel: a valid pixel lies in none of them.
        self._row_totals = weight_totals(grid.row_starts, grid.height, grid.window, grid.overlap)
        self._col_totals = weight_totals(grid.col_starts, grid.width, grid.window, grid.overlap)
        self._weights: dict[tuple[bool, bool, bool, bool], NDArray[np.float32]] = {}

    def add(self, lattice_row: int, lattice_col: int, probabilities: NDArray[np.float32]) -> None:
        """Add a window's ``(classes, height, width)`` probabilities, weighted; overwrites them."""
        window = self._block.grid.window_at(lattice_row, lattice_col)
        # Only columns are cut: rows outside of the block are summed too, and never returned.
        columns = Window(window.row, self._block.area.col, window.height, self._block.area.width)
        part = window.intersect(columns)
        if part is None:
            return
        rows, cols = part.slices(window.row, window.col)
        weighted = probabilities[:, rows, cols]
        weighted *= self._weights_at(lattice_row, lattice_col)[rows, cols]
        self._roll_to(window.row)
        self._sums[:, : part.height, part.slices(0, self._block.area.col)[1]] += weighted

    def finish(self, band: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
        if gone == 0:
            return
        kept = max(0, self._sums.shape[1] - gone)
        for plane in self._sums:  # one class at a time: numpy copies overlapping slices aside
            plane[:kept] = plane[gone : gone + kept]
            plane[kept:] = 0.0
        self._top = top

    def _weights_at(self, lattice_row: int, lattice_col: int) -> NDArray[np.float32]:
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
            self._weights[edges] = down[:, None] * across
        return self._weights[edges]


class CropStitcher:
    """Each pixel from the one window whose centre is nearest; blocks are cut on these borders."""

    def __init__(self, block: Block, classes: int) -> None:
        self._block = block
        self._scores = np.zeros((classes, block.tallest_band, block.area.width), np.float32)

    def add(self, lattice_row: int, lattice_col: int, probabilities: NDArray[np.float32]) -> None:
        """Copy what a window owns of its ``(classes, height, width)`` probabilities."""
        grid, area = self._block.grid, self._block.area
        window = grid.window_at(lattice_row, lattice_col)
        top, bottom = grid.row_edges[lattice_row], grid.row_edges[lattice_row + 1]
        left, right = grid.col_edges[lattice_col], grid.col_edges[lattice_col + 1]
        rows, cols = Window(top, left, bottom - top, right - left).slices(window.row, window.col)
        self._scores[:, : bottom - top, left - area.col : right - area.col] = probabilities[
            :, rows, cols
        ]

    def finish(self, band: Window) -> tuple[NDArray[np.float32], None]:
        """Scores ``(classes, height, width)`` of a band, as a view; no weights, as all are 1."""
        return self._scores[:, : band.height], None


def make_stitcher(block: Block, classes: int) -> BlendStitcher | CropStitcher:
    """The stitcher that the block's grid asks for."""
    return (CropStitcher if block.grid.stitch == "crop" else BlendStitcher)(block, classes)


def classify(
    area: Window,
    scores: NDArray[np.float32],
    totals: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    *,
    min_confidence: float = 0.0,
    probabilities: bool = False,
) -> Band:
    """The band with its classes: the highest score, ties to the lowest id.

    Args:
        area: where the band lies.
        scores: ``(classes, height, width)`` float32 sums of probabilities.
        totals: ``(height, width)`` float32 weight sums; None where they are 1.
        valid: ``(height, width)`` bool.
        min_confidence: valid pixels whose probability is below it get 254.
        probabilities: also return the probabilities of all classes.
    """
    best = scores.max(0)
    labels = scores.argmax(0).astype(np.uint8)
    if totals is not None:
        best /= totals
    if min_confidence > 0.0:
        labels[best < min_confidence] = UNCERTAIN
    confidence = _quantized(best)
    labels[~valid] = NODATA
    confidence[~valid] = 0
    spread = None
    if probabilities:
        spread = np.empty(scores.shape, np.uint8)
        for class_id, plane in enumerate(scores):
            spread[class_id] = _quantized(plane if totals is None else plane / totals)
        spread[:, ~valid] = 0
    return Band(area, labels, confidence, spread)


def _quantized(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``round(255 p)``; rounding errors may lift a mean of probabilities just above 1."""
    return np.rint(np.minimum(probability, np.float32(1.0)) * np.float32(255.0)).astype(np.uint8)
