"""In which directions the walls of regions run: the peaks of a histogram of their lines.

Angles are counted modulo a right angle, as parts of it, and lines weigh the squares of their
lengths: the direction of a line between two points of some error is known so much better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST = 3
"""Directions of a region: houses that touch are one region, and stand as they stand."""

_BINS = 45
_KERNEL = (1, 2, 3, 2, 1)
_NEAR = 10 / 90
"""Of a peak are lines within so many degrees of it."""
_APART = 15 / 90
"""From a peak on, lines may be of another one."""
_LEAST = 0.1
"""Share of the lines' weight that a further peak must have."""


def main_directions(region: Ints, across: Floats, down: Floats, count: int) -> Floats:
    """``(count, MOST)`` angles in radians, 0 to a right angle, the first ones first; else NaN.

    Args:
        region: of each line.
        across: from its one end to the other.
        down: likewise.
        count: of regions.
    """
    weight = across**2 + down**2
    part = np.arctan2(down, across) / (np.pi / 2) % 1.0
    total = np.bincount(region, weight, count)
    found = np.full((count, MOST), np.nan)
    for peak in range(MOST):
        share = np.bincount(region, weight, count)
        has = share > (_LEAST * total if peak else 0.0)
        bins = region * _BINS + np.minimum((part * _BINS).astype(np.int64), _BINS - 1)
        heights = np.bincount(bins, weight, count * _BINS).reshape(count, _BINS)
        smooth = sum(
            factor * np.roll(heights, shift, axis=1)
            for factor, shift in zip(_KERNEL, range(-2, 3), strict=True)
        )
        top = (np.argmax(smooth, axis=1) + 0.5) / _BINS
        off = (part - top[region] + 0.5) % 1.0 - 0.5
        near = np.abs(off) <= _NEAR
        sums = [np.bincount(region[near], each[near], count) for each in (weight, weight * off)]
        angle = top + sums[1] / np.where(sums[0] > 0, sums[0], 1.0)
        found[has, peak] = angle[has] % 1.0 * (np.pi / 2)
        off = (part - angle[region] + 0.5) % 1.0 - 0.5
        weight = np.where(np.abs(off) > _APART, weight, 0.0)
    return found
