"""Boundaries of classes: the reference eroded along them, and how well a prediction follows them.

Both look at a disc around each pixel. A disc of radius r is a stack of 2 r + 1 row segments, widest
in the middle. Minimum, maximum and "or" do not mind seeing a value twice, so a segment grows by one
pixel at each end from the one before, and a disc takes some 4 r array operations, not r * r::

    offset 3        x           half 0
    offset 2      x x x x x     half 2
    offset 1      x x x x x     half 2
    offset 0    x x x o x x x   half 3      half = floor(sqrt(r^2 - offset^2)), here r = 3
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.errors import ConfigError
from geoseg.metrics.confusion import Floats, safe_divide

Labels = NDArray[np.uint8]
Slices = tuple[slice, slice]

_BITS = 8
"""Classes whose boundaries are looked at together: one bit each of a byte."""


def erode(labels: Labels, radius: int) -> Labels:
    """The labels without their boundaries: 255 where another class lies within `radius`.

    Distances are Euclidean, between pixel centres, so that radius 3 is the disc of the ISPRS
    benchmark. Pixels of 255 and those beyond the array are not another class. A window needs a
    halo of `radius` pixels.

    Args:
        labels: ``(height, width)`` class ids 0..253, 255 where there is no label.
        radius: pixels; 0 gives the labels back.

    Raises:
        ConfigError: the radius is negative.
    """
    if radius < 0:
        raise ConfigError(
            f"erosion by {radius} pixels; use 0 (none) or more (3 is the ISPRS benchmark's)"
        )
    # A pixel whose disc holds a lower or a higher class id than its own lies near a boundary.
    # NODATA is the highest value, so it never lowers a minimum; for the maximum it becomes 0.
    lowest = _over_disc(labels, radius, np.minimum, NODATA)
    known = np.where(labels == NODATA, 0, labels).astype(np.uint8)
    highest = _over_disc(known, radius, np.maximum, 0)
    return np.where((lowest < labels) | (highest > labels), np.uint8(NODATA), labels)


class BoundaryF1:
    """How well predicted boundaries follow those of the reference, over any number of windows.

    The boundary of a class are its pixels beside (4-neighbours) a pixel of another class. With
    ``near`` meaning within `tolerance` pixels of a boundary pixel of the same class on the other
    side, class by class::

        recall    = reference boundary pixels near the predicted boundary / all of the reference's
        precision = predicted boundary pixels near the reference's boundary / all predicted ones
        F1        = 2 precision recall / (precision + recall)

    After Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013;
    there per image, here over all pixels. Where the reference has no label, the prediction has no
    boundary; 254 and 255 have none either.
    """

    def __init__(self, n: int, tolerance: int = 3) -> None:
        """Count `n` classes.

        Args:
            n: classes.
            tolerance: Euclidean distance in pixels, 0 or more.

        Raises:
            ConfigError: the tolerance is negative.
        """
        if tolerance < 0:
            raise ConfigError(f"a tolerance of {tolerance} pixels; use 0 or more")
        self.n = n
        self.tolerance = tolerance
        self._counts = np.zeros((4, n), np.int64)
        self._reference, self._recalled, self._predicted, self._precise = self._counts  # views

    @property
    def halo(self) -> int:
        """Pixels that a window must know beyond its core; the boundary itself takes one."""
        return self.tolerance + 1

    def update(
        self, reference: Labels, predicted: Labels, core: Slices = (slice(None), slice(None))
    ) -> None:
        """Count one window.

        Args:
            reference: ``(height, width)`` class ids, 255 where there is none; not eroded.
            predicted: the same shape; class ids, 254 or 255.
            core: the pixels that count; the others, within `halo`, are only looked at.
        """
        no_class = (reference == NODATA) | (predicted == UNCERTAIN)
        actual = _boundaries(reference)
        guessed = _boundaries(np.where(no_class, np.uint8(NODATA), predicted))
        for first in range(0, self.n, _BITS):
            actual_bits, guessed_bits = _bits(actual, first), _bits(guessed, first)
            if not actual_bits.any() or not guessed_bits.any():
                continue  # saves time only: what one side has not, nothing is near to
            near_guessed = _over_disc(guessed_bits, self.tolerance, np.bitwise_or, 0)
            near_actual = _over_disc(actual_bits, self.tolerance, np.bitwise_or, 0)
            recalled = (actual_bits & near_guessed)[core] != 0
            precise = (guessed_bits & near_actual)[core] != 0
            self._recalled += self._per_class(actual[core][recalled])
            self._precise += self._per_class(guessed[core][precise])
        self._reference += self._per_class(actual[core])
        self._predicted += self._per_class(guessed[core])

    def __add__(self, other: BoundaryF1) -> BoundaryF1:
        """The counts of both."""
        if (self.n, self.tolerance) != (other.n, other.tolerance):
            raise ConfigError(
                "boundaries of other classes or with another tolerance cannot be added"
            )
        merged = BoundaryF1(self.n, self.tolerance)
        merged._counts += self._counts + other._counts
        return merged

    @property
    def reference_pixels(self) -> NDArray[np.int64]:
        """``(n,)`` boundary pixels of the reference."""
        return self._reference

    @property
    def recall(self) -> Floats:
        """``(n,)`` share of the reference's boundary that is found; NaN where it has none."""
        return safe_divide(self._recalled, self._reference)

    @property
    def precision(self) -> Floats:
        """``(n,)`` share of the predicted boundary that is right; NaN where there is none."""
        return safe_divide(self._precise, self._predicted)

    @property
    def f1(self) -> Floats:
        """``(n,)`` harmonic mean of both; NaN where the reference has no boundary."""
        precision, recall = np.nan_to_num(self.precision), np.nan_to_num(self.recall)
        scores = np.nan_to_num(safe_divide(2 * precision * recall, precision + recall))
        return np.where(self._reference > 0, scores, np.nan)

    def _per_class(self, labels: Labels) -> NDArray[np.int64]:
        return np.bincount(labels.ravel(), minlength=self.n)[: self.n]


def _boundaries(labels: Labels) -> Labels:
    """The labels of pixels beside another class; 255 elsewhere."""
    boundary = np.zeros(labels.shape, np.bool_)
    every, but_first, but_last = slice(None), slice(1, None), slice(-1)
    for here, neighbour in (
        ((but_first, every), (but_last, every)),  # the pixel above
        ((every, but_first), (every, but_last)),  # the pixel to the left
    ):
        one, other = labels[here], labels[neighbour]
        differ = (one != other) & (one != NODATA) & (other != NODATA)
        boundary[here] |= differ
        boundary[neighbour] |= differ
    return np.where(boundary, labels, np.uint8(NODATA))


def _bits(boundaries: Labels, first: int) -> Labels:
    """Bit k set where a pixel lies on the boundary of class ``first + k``."""
    table = np.zeros(256, np.uint8)
    table[first : first + _BITS] = 1 << np.arange(_BITS)
    return table[boundaries]


def _over_disc(values: Labels, radius: int, combine: np.ufunc, empty: int) -> Labels:
    """All values within `radius` of each pixel combined; `empty` is the value beyond the array."""
    height = values.shape[0]
    combined: NDArray[Any] = np.full_like(values, empty)
    segments, half = values, 0
    for offset in range(radius, -1, -1):
        while half < isqrt(radius * radius - offset * offset):
            wider = segments.copy()
            combine(wider[:, 1:], segments[:, :-1], out=wider[:, 1:])
            combine(wider[:, :-1], segments[:, 1:], out=wider[:, :-1])
            segments, half = wider, half + 1
        rows = max(0, height - offset)
        below, above = combined[offset:], combined[:rows]
        combine(below, segments[:rows], out=below)
        combine(above, segments[offset:], out=above)
    return combined
