"""Borders between classes: the reference eroded along them, and how well a prediction traces them.

Both look at a disc around each pixel. A disc is a stack of row segments, widest in the middle, and minimum, maximum
and "or" do not mind seeing a value twice: so a disc of radius r takes some 4 r array operations, not r * r.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.errors import ConfigError
from geoseg.metrics.confusion import Floats, ratio

Labels = NDArray[np.uint8]
Slices = tuple[slice, slice]

_GROUP = 8
"""Classes whose borders are looked for at once: one bit each of a byte."""


def erode(labels: Labels, radius: int) -> Labels:
    """The labels without their borders: 255 where a pixel of another class lies within `radius`.

    Distances are Euclidean, between pixel centres, so that radius 3 is the disc of the ISPRS benchmark. Pixels
    of 255 and what lies beyond the array are no other class. A window needs a halo of `radius` pixels.

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
    lowest = _over_disc(labels, radius, np.minimum, NODATA)
    highest = _over_disc(
        np.where(labels == NODATA, 0, labels).astype(np.uint8), radius, np.maximum, 0
    )
    return np.where((lowest < labels) | (highest > labels), np.uint8(NODATA), labels)


class BoundaryF1:
    """How well predicted borders follow those of the reference, class by class, over any number of windows.

    The border of a class are its pixels beside (4-neighbours) a pixel of another class. Precision is the share of
    predicted border pixels with a border pixel of the same class in the reference within `tolerance` pixels, recall
    the reverse, F1 their harmonic mean (after Csurka et al., "What is a good evaluation measure for semantic
    segmentation?", BMVC 2013; there per image, here over all pixels). Where the reference has no label, the
    prediction has no border; 254 and 255 have none either.
    """

    def __init__(self, n: int, tolerance: int = 3) -> None:
        """Count `n` classes.

        Args:
            n: classes.
            tolerance: Euclidean distance in pixels, 0 or more.
        """
        if tolerance < 0:
            raise ConfigError(f"a tolerance of {tolerance} pixels; use 0 or more")
        self.n = n
        self.tolerance = tolerance
        self._counts: NDArray[np.int64] = np.zeros((4, n), np.int64)

    @property
    def halo(self) -> int:
        """Pixels that a window must know beyond its core."""
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
        known = np.where(
            (reference == NODATA) | (predicted == UNCERTAIN), np.uint8(NODATA), predicted
        )
        actual, guessed = _borders(reference), _borders(known)
        for first in range(0, self.n, _GROUP):
            ours, theirs = _bits(actual, first), _bits(guessed, first)
            if not (ours.any() or theirs.any()):
                continue
            hit = (ours & _over_disc(theirs, self.tolerance, np.bitwise_or, 0))[core] != 0
            right = (theirs & _over_disc(ours, self.tolerance, np.bitwise_or, 0))[core] != 0
            self._counts[1] += self._per_class(actual[core][hit])
            self._counts[3] += self._per_class(guessed[core][right])
        self._counts[0] += self._per_class(actual[core])
        self._counts[2] += self._per_class(guessed[core])

    def __add__(self, other: BoundaryF1) -> BoundaryF1:
        """The counts of both."""
        if (self.n, self.tolerance) != (other.n, other.tolerance):
            raise ConfigError("borders of other classes or with another tolerance cannot be added")
        merged = BoundaryF1(self.n, self.tolerance)
        merged._counts = self._counts + other._counts
        return merged

    @property
    def reference_pixels(self) -> NDArray[np.int64]:
        """``(n,)`` border pixels of the reference."""
        found: NDArray[np.int64] = self._counts[0]
        return found

    @property
    def recall(self) -> Floats:
        """``(n,)`` share of the reference's border that is found; NaN where it has none."""
        return ratio(self._counts[1], self._counts[0])

    @property
    def precision(self) -> Floats:
        """``(n,)`` share of the predicted border that is right; NaN where there is none."""
        return ratio(self._counts[3], self._counts[2])

    @property
    def f1(self) -> Floats:
        """``(n,)`` harmonic mean of precision and recall; NaN where the reference has no border, as an eroded one."""
        total = np.nan_to_num(self.precision) + np.nan_to_num(self.recall)
        product = 2 * np.nan_to_num(self.precision) * np.nan_to_num(self.recall)
        scores = np.divide(product, total, out=np.zeros(self.n), where=total > 0)
        return np.where(self._counts[0] > 0, scores, np.nan)

    def _per_class(self, labels: Labels) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = np.bincount(labels.ravel(), minlength=256)[: self.n]
        return counts


def _borders(labels: Labels) -> Labels:
    """The labels of pixels beside another class; 255 elsewhere."""
    beside = np.zeros(labels.shape, np.bool_)
    for one, other in (
        ((slice(1, None),), (slice(-1),)),
        ((slice(None), slice(1, None)), (slice(None), slice(-1))),
    ):
        differ = (
            (labels[one] != labels[other]) & (labels[one] != NODATA) & (labels[other] != NODATA)
        )
        beside[one] |= differ
        beside[other] |= differ
    return np.where(beside, labels, np.uint8(NODATA))


def _bits(borders: Labels, first: int) -> Labels:
    """Bit k set where a pixel lies on the border of class ``first + k``."""
    table = np.zeros(256, np.uint8)
    members = np.arange(first, min(first + _GROUP, NODATA))
    table[members] = 1 << (members - first)
    return table[borders]


def _over_disc(values: Labels, radius: int, combine: np.ufunc, empty: int) -> Labels:
    """All values within `radius` of each pixel combined; `empty` stands for those beyond the array."""
    height = values.shape[0]
    combined: NDArray[Any] = np.full_like(values, empty)
    segments, half = values, 0
    for offset in range(radius, -1, -1):
        while half < isqrt(radius * radius - offset * offset):
            wider = segments.copy()
            combine(wider[:, 1:], segments[:, :-1], out=wider[:, 1:])
            combine(wider[:, :-1], segments[:, 1:], out=wider[:, :-1])
            segments, half = wider, half + 1
        if offset < height:
            combine(combined[offset:], segments[: height - offset], out=combined[offset:])
            combine(combined[: height - offset], segments[offset:], out=combined[: height - offset])
    return combined
