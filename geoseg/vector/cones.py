"""The farthest vertex that a chord may lead to, arc after arc, in one pass.

From where a chord begins, the directions in which it passes within the tolerance of a vertex are a
cone. The chord leads to the last vertex that lies in the cones of all vertices before it; there the
next one begins. All arcs go on vertex by vertex at the same time; long ones are cut beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]

_LONGEST = 256
"""Vertices of an arc that are walked one after the other."""


def long_chords(chords: Ints, x: Floats, y: Floats) -> Ints:
    """``(2, n)`` chords that may stand for those given, each of which may be cut into several.

    A vertex may still be farther than 1 from its chord: where an arc goes back beyond an end.

    Args:
        chords: ``(2, n)`` first and last of the vertices that each stands for.
        x: of each vertex, in tolerances.
        y: likewise.
    """
    begin, end = _cut(chords)
    done: list[Ints] = []
    at, best = begin + 1, begin + 1
    low, high, middle = (np.full(begin.size, value) for value in (-np.inf, np.inf, 0.0))
    while begin.size:
        # Where `at` lies as seen from the chord's beginning, and how wide its cone is.
        right, down = x[at] - x[begin], y[at] - y[begin]
        distance = np.hypot(right, down)
        angle = np.arctan2(down, right)
        half = np.where(distance > 1.0, np.arcsin(1.0 / np.maximum(distance, 1.0)), np.inf)
        middle = np.where(np.isinf(low) & np.isfinite(half), angle, middle)
        turn = (angle - middle + np.pi) % (2 * np.pi) - np.pi
        best = np.where(np.isinf(low) | ((low <= turn) & (turn <= high)), at, best)
        low, high = np.maximum(low, turn - half), np.minimum(high, turn + half)
        ends = (low > high) | (at == end)
        done.append(np.stack([begin[ends], best[ends]]))
        begin = np.where(ends, best, begin)
        at = np.where(ends, best, at) + 1
        low, high = np.where(ends, -np.inf, low), np.where(ends, np.inf, high)
        best = np.where(ends, at, best)
        goes_on = begin < end
        begin, end, at, best, low, high, middle = (
            each[goes_on] for each in (begin, end, at, best, low, high, middle)
        )
    return np.concatenate([np.zeros((2, 0), np.int64), *done], axis=1)


def _cut(chords: Ints) -> Ints:
    """Chords of at most `_LONGEST` lines."""
    counts = -(-(chords[1] - chords[0]) // _LONGEST)
    owner = np.repeat(np.arange(counts.size), counts)
    part = np.arange(owner.size) - (np.cumsum(counts) - counts)[owner]
    begin = chords[0][owner] + part * _LONGEST
    return np.stack([begin, np.minimum(begin + _LONGEST, chords[1][owner])])
