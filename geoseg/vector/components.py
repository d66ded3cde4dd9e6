"""Regions of a label raster: pixels of one class connected side by side (connectivity 4).

A run is a stretch of equal labels along a row. Runs, not pixels, are connected: there are far
fewer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.errors import VectorError, shown
from geoseg.tiling import connect

_RUNS = 2**16
"""Whose values are added up at a time."""

COLUMN_BITS = 32
"""Of a pixel's number: row, then column; so numbers do not depend on the raster's width."""


@dataclass(frozen=True, slots=True)
class Components:
    """The regions of a label raster, numbered by their first pixel in row-major order."""

    framed: NDArray[np.uint8]
    """``(height + 2, width + 2)`` labels in a frame of `NODATA`; `UNCERTAIN` became `NODATA`."""
    run: NDArray[np.int32]
    """Number of the run that holds each pixel of `framed`, flat."""
    starts: NDArray[np.int64]
    """Flat position in `framed` of the first pixel of each run."""
    region_of_run: NDArray[np.int32]
    """Region of each run; -1 where there is none."""
    class_id: NDArray[np.uint8]
    """Class of each region."""
    pixels: NDArray[np.int64]
    """Pixels of each region."""
    confidence_sum: NDArray[np.int64] | None
    """Sum of the uint8 confidence over each region; None where no confidence was given."""

    def last_pixels(self, row: int, col: int) -> NDArray[np.int64]:
        """The number of each region's last pixel in row-major order.

        Args:
            row: of the raster's first pixel in a larger one, in which pixels are numbered.
            col: likewise.
        """
        inside = np.flatnonzero(self.region_of_run >= 0)
        last = np.empty(self.class_id.size, np.int64)
        ends = np.append(self.starts[1:], self.framed.size) - 1
        last[self.region_of_run[inside]] = ends[inside]  # of several, the last one written stays
        return self._numbers(last, row, col)

    def first_pixels(self, row: int, col: int) -> NDArray[np.int64]:
        """The number of each region's first pixel, likewise."""
        inside = np.flatnonzero(self.region_of_run >= 0)[::-1]
        first = np.empty(self.class_id.size, np.int64)
        first[self.region_of_run[inside]] = self.starts[inside]
        return self._numbers(first, row, col)

    def _numbers(self, positions: NDArray[np.int64], row: int, col: int) -> NDArray[np.int64]:
        """The numbers of pixels by their flat positions in `framed`."""
        rows, cols = np.divmod(positions, self.framed.shape[1])
        numbers: NDArray[np.int64] = rows - 1 + row << COLUMN_BITS | cols - 1 + col
        return numbers

    def weighed(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the pixels of each region weigh together.

        Args:
            weights: ``(height, width)``, of the pixels of the raster.
        """
        of_run = np.add.reduceat(np.pad(weights, 1).ravel(), self.starts)
        inside = self.region_of_run >= 0
        sums = np.zeros(self.class_id.size, np.int64)
        np.add.at(sums, self.region_of_run[inside], of_run[inside])
        return sums

    def region_at(self, positions: NDArray[np.int64]) -> NDArray[np.int32]:
        """Region of pixels by their flat position in `framed`; -1 where there is none."""
        return self.region_of_run[self.run[positions]]

    def relabelled(self, class_id: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The labels with these classes of the regions; 255 where there is none."""
        of_run = np.append(class_id, np.uint8(NODATA))[self.region_of_run]
        return of_run[self.run].reshape(self.framed.shape)[1:-1, 1:-1]

    def line(
        self, rows: int | slice, cols: int | slice
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Regions (-1 where there is none) and classes along a row or a column of `framed`."""
        runs = self.run.reshape(self.framed.shape)[rows, cols]
        return self.region_of_run[runs], self.framed[rows, cols].copy()


def find_components(labels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None) -> Components:
    """Number the regions of a label raster and count what they hold.

    Args:
        labels: ``(height, width)`` class ids; 254 and 255 belong to no region.
        confidence: uint8 of the same shape, or None.

    Raises:
        VectorError: an array is not 2-d uint8, or their shapes differ.
    """
    _check(labels, confidence)
    framed = np.pad(np.where(labels == UNCERTAIN, NODATA, labels), 1, constant_values=NODATA)
    flat, stride = framed.ravel(), framed.shape[1]
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size)
    run = np.repeat(np.arange(starts.size, dtype=np.int32), lengths)
    run_label = flat[starts]

    # The frame keeps runs of a class within their row, and gives each of them a row above and
    # below.
    #
    #     # # # # # #      Two runs of neighbouring rows overlap from a column on where one of them
    #     # # a a a #      starts: run b starts below a, and run c starts above d. So looking
    #     # # # b # #      straight up and straight down from each run's first pixel finds every
    #     # # c c c #      pair.
    #     # d d d # #
    #     # # # # # #
    inside = np.flatnonzero(run_label != NODATA)
    number = np.cumsum(run_label != NODATA, dtype=np.int32) - 1  # of each run among those inside
    one, other = [], []
    for step in (-stride, stride):
        across = run[starts[inside] + step]
        same = run_label[across] == run_label[inside]
        one.append(number[inside[same]])
        other.append(number[across[same]])
    count, region = connect(inside.size, np.concatenate(one), np.concatenate(other))
    region_of_run = np.full(starts.size, -1, np.int32)
    region_of_run[inside] = region
    class_id = np.empty(count, np.uint8)
    class_id[region] = run_label[inside]

    def total(values: NDArray[np.int64]) -> NDArray[np.int64]:
        # The float64 sums of bincount are exact: whole numbers below 2**53.
        sums = np.bincount(region, values[inside], minlength=count)
        return sums.astype(np.int64)

    sums = None
    if confidence is not None:
        sums = total(_summed(np.pad(confidence, 1).ravel(), starts))
    return Components(framed, run, starts, region_of_run, class_id, total(lengths), sums)


def _summed(values: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of the values of each run; numpy makes an array of int64 of all that it adds up."""
    cuts = [*range(0, starts.size, _RUNS), starts.size]
    ends = np.append(starts, values.size)
    sums = [
        np.add.reduceat(
            values[ends[first] : ends[last]], starts[first:last] - starts[first], dtype=np.int64
        )
        for first, last in itertools.pairwise(cuts)
    ]
    return np.concatenate(sums)


def _check(labels: NDArray[Any], confidence: NDArray[Any] | None) -> None:
    if not isinstance(labels, np.ndarray):
        raise VectorError(f"labels {shown(labels)}: give an array of (height, width) uint8")
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise VectorError(
            f"labels of shape {labels.shape} and type {labels.dtype}; "
            "polygons are made from (height, width) uint8"
        )
    if confidence is not None and (
        confidence.shape != labels.shape or confidence.dtype != np.uint8
    ):
        raise VectorError(
            f"confidence of shape {confidence.shape} and type {confidence.dtype} "
            f"on labels of shape {labels.shape}; give uint8 of the same shape"
        )
