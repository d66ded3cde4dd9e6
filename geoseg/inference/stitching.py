"""Window probabilities in, finished bands of classes out: the arithmetic of stitching, on numpy arrays.

Both stitchers keep only what the windows still to come can touch: `Blend` one window's height of weighted sums,
`Crop` one band. A pixel's sum is made in row-major order of its windows, whatever the block, so that its bits do not
depend on where blocks were cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.tiling import Block, Window, edge_weights, weight_totals

_ROWS_AT_ONCE = 32
"""Rows that are decided together: few enough that their scores stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Band:
    """Finished rows of a block."""

    area: Window
    """Where it lies in the raster."""
    labels: NDArray[np.uint8]
    """``(height, width)`` class ids; 255 invalid, 254 below the least confidence."""
    confidence: NDArray[np.uint8]
    """``(height, width)`` maximum probability as round(255 p); 0 invalid."""
    probabilities: NDArray[np.uint8] | None
    """``(classes, height, width)`` probabilities as round(255 p), 0 where invalid; None unless asked for."""


class Stitcher(Protocol):
    """Takes the windows of a block lattice row by lattice row and gives back what each row finishes."""

    def add(self, lattice_row: int, lattice_col: int, probabilities: NDArray[np.float32]) -> None:
        """Take one window's ``(classes, window, window)`` probabilities; `probabilities` may be overwritten."""

    def finish(self, lattice_row: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Scores ``(classes, height, width)`` of the row's band and the weight sums, None where they are 1.

        The scores are a view that the next `add` overwrites.
        """


def make_stitcher(block: Block, classes: int) -> Stitcher:
    """The stitcher that the block's grid asks for."""
    return Crop(block, classes) if block.grid.stitch == "crop" else Blend(block, classes)


class Blend:
    """Weighted sums over all windows that see a pixel."""

    def __init__(self, block: Block, classes: int) -> None:
        grid = block.grid
        self._block = block
        self._top = grid.row_starts[block.lattice_rows[0]]
        self._sums = np.zeros(
            (classes, min(grid.window, grid.height), block.area.width), np.float32
        )
        self._row_totals = weight_totals(grid.row_starts, grid.height, grid.window, grid.overlap)
        self._col_totals = weight_totals(grid.col_starts, grid.width, grid.window, grid.overlap)
        self._weights: dict[tuple[bool, bool, bool, bool], NDArray[np.float32]] = {}

    def add(self, lattice_row: int, lattice_col: int, probabilities: NDArray[np.float32]) -> None:
        """Add one window's weighted probabilities."""
        window = self._block.grid.window_at(lattice_row, lattice_col)
        part = window.intersect(
            Window(window.row, self._block.area.col, window.height, self._block.area.width)
        )
        if part is None:
            return
        rows, cols = part.slices(window.row, window.col)
        weighted = probabilities[:, rows, cols]
        weighted *= self._weights_at(lattice_row, lattice_col)[rows, cols]
        self._roll_to(window.row)
        self._sums[:, : part.height, part.slices(0, self._block.area.col)[1]] += weighted

    def finish(self, lattice_row: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Sums and weight sums of the rows that no later window touches."""
        band = self._block.band(lattice_row)
        if band is None:
            raise AssertionError(f"lattice row {lattice_row} finishes nothing of this block")
        self._roll_to(self._block.grid.row_starts[lattice_row])
        first = band.row - self._top
        rows, cols = band.slices()
        totals = self._row_totals[rows, None] * self._col_totals[None, cols]
        return self._sums[:, first : first + band.height], totals

    def _roll_to(self, top: int) -> None:
        """Drop the rows above `top`, which are finished, and make room below."""
        gone = top - self._top
        if gone == 0:
            return
        kept = max(0, self._sums.shape[1] - gone)
        for plane in self._sums:
            plane[:kept] = plane[gone : gone + kept]
            plane[kept:] = 0.0
        self._top = top

    def _weights_at(self, lattice_row: int, lattice_col: int) -> NDArray[np.float32]:
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


class Crop:
    """Each pixel from the one window whose centre is nearest."""

    def __init__(self, block: Block, classes: int) -> None:
        tallest = max(band.height for _, band in block.bands())
        self._block = block
        self._scores = np.zeros((classes, tallest, block.area.width), np.float32)

    def add(self, lattice_row: int, lattice_col: int, probabilities: NDArray[np.float32]) -> None:
        """Copy what the window owns."""
        grid, area = self._block.grid, self._block.area
        window = grid.window_at(lattice_row, lattice_col)
        top, bottom = grid.row_edges[lattice_row], grid.row_edges[lattice_row + 1]
        left, right = grid.col_edges[lattice_col], grid.col_edges[lattice_col + 1]
        rows, cols = Window(top, left, bottom - top, right - left).slices(window.row, window.col)
        self._scores[:, : bottom - top, left - area.col : right - area.col] = probabilities[
            :, rows, cols
        ]

    def finish(self, lattice_row: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Probabilities of the rows that this lattice row owns."""
        band = self._block.band(lattice_row)
        if band is None:
            raise AssertionError(f"lattice row {lattice_row} owns nothing of this block")
        return self._scores[:, : band.height], None


def decide(
    area: Window,
    scores: NDArray[np.float32],
    totals: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    *,
    min_confidence: float = 0.0,
    probabilities: bool = False,
) -> Band:
    """The classes of a band: the highest score, ties to the lowest id.

    Args:
        area: where the band lies.
        scores: ``(classes, height, width)`` float32 sums of probabilities.
        totals: ``(height, width)`` float32 weight sums; None where they are 1.
        valid: ``(height, width)`` bool.
        min_confidence: valid pixels whose probability is below it get 254.
        probabilities: also give back the probabilities of all classes.
    """
    labels = np.zeros(valid.shape, np.uint8)
    confidence = np.empty(valid.shape, np.uint8)
    for top in range(0, len(labels), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        best = scores[0, rows].copy()
        for class_id in range(1, len(scores)):
            higher = scores[class_id, rows] > best
            np.putmask(labels[rows], higher, class_id)
            np.maximum(best, scores[class_id, rows], out=best)
        if totals is not None:
            best /= totals[rows]
        if min_confidence > 0.0:
            labels[rows][best < min_confidence] = UNCERTAIN
        confidence[rows] = _coded(best)
    labels[~valid] = NODATA
    confidence[~valid] = 0
    spread = None
    if probabilities:
        spread = np.empty(scores.shape, np.uint8)
        for class_id, plane in enumerate(scores):
            spread[class_id] = _coded(plane if totals is None else plane / totals)
        spread[:, ~valid] = 0
    return Band(area, labels, confidence, spread)


def _coded(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``round(255 p)``; rounding may carry a sum of probabilities just above 1."""
    return np.rint(np.minimum(probability, np.float32(1.0)) * np.float32(255.0)).astype(np.uint8)
