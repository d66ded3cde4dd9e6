"""Where chords would cross or touch, or another border would change the side that it lies on."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.arcs import Arcs
from geoseg.vector.lines import Ints

_CHORDS = 50_000
"""Whose neighbours are looked at at a time."""


def find_conflicts(
    arcs: Arcs, chords: Ints, boxes: NDArray[np.object_], fresh: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The chords that must be split, among those that stand for more than one line.

    Args:
        arcs: of a cell.
        chords: ``(2, chords)`` first and last of the vertices that each stands for.
        boxes: around each, from `boxes_of`.
        fresh: the chords of which it is not known yet that they agree with all others.
    """
    long = chords[1] - chords[0] > 1
    wrong = np.zeros(long.size, np.bool_)
    if not long.any():
        return wrong
    bounds = shapely.bounds(boxes)
    suspects = np.flatnonzero(fresh)
    tree = shapely.STRtree(boxes[suspects])
    for begin in range(0, fresh.size, _CHORDS):
        other, one = tree.query(boxes[begin : begin + _CHORDS])
        one, other = suspects[one], other + begin
        # Each pair once, and none of two lines.
        chosen = (long[one] | long[other]) & ~(fresh[other] & (other >= one))
        one, other = one[chosen], other[chosen]
        meet = _meet(arcs, chords, one, other)
        wrong[one[meet]] = wrong[other[meet]] = True
        for chord, beside in ((one, other), (other, one)):
            pairs = np.stack([chord, beside])[:, long[chord]]
            wrong[_jumped(arcs, chords, pairs, bounds)] = True
    wrong &= long
    return wrong


def meeting(arcs: Arcs, lines: Ints, name: Ints, fresh: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The lines that have no length, or more in common with another one than an end.

    Args:
        arcs: of a cell.
        lines: ``(2, lines)`` first and last vertex of each.
        name: of each vertex; an end that two lines have in common has the same.
        fresh: those of which it is not known yet that they agree with all others.
    """
    ends = [np.stack([arcs.col[each], arcs.row[each]]) for each in lines]
    wrong: NDArray[np.bool_] = (ends[0] == ends[1]).all(axis=0)
    ends_of = list(zip(ends, name[lines], strict=True))
    boxes, suspects = diagonals(*ends), np.flatnonzero(fresh)
    tree = shapely.STRtree(boxes[suspects])
    for begin in range(0, fresh.size, _CHORDS):
        other, one = tree.query(boxes[begin : begin + _CHORDS])
        one, other = suspects[one], other + begin
        chosen = ~(fresh[other] & (other >= one))
        one, other = one[chosen], other[chosen]
        meet = _meet(arcs, lines, one, other)
        for end, far in itertools.product(ends_of, repeat=2):
            same = (end[0][:, one] == far[0][:, other]).all(axis=0)
            meet |= same & (end[1][one] != far[1][other])
        wrong[one[meet]] = wrong[other[meet]] = True
    return wrong


def around(
    corners: Ints, begins: Ints, points: Ints, apart: Callable[[Ints, Ints], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """The polygons in which some point lies, or on whose sides.

    Args:
        corners: ``(2, corners)`` columns and rows of polygons, one after the other.
        begins: where each begins; one entry more at the end.
        points: ``(2, points)``.
        apart: whether points, by the numbers of polygons and points, are to be looked at.
    """
    found = np.zeros(begins.size - 1, np.bool_)
    if not found.size:
        return found
    low, high = (each.reduceat(corners, begins[:-1], axis=1) for each in (np.minimum, np.maximum))
    at, which = shapely.STRtree(shapely.points(*points)).query(diagonals(low, high))[::-1]
    chosen = apart(which, at)
    which, at = which[chosen], at[chosen]
    sizes = np.diff(begins)[which]
    owner = np.repeat(np.arange(sizes.size), sizes)
    step = np.arange(owner.size) - (np.cumsum(sizes) - sizes)[owner]
    corner = begins[which][owner] + step
    after = np.where(step + 1 == sizes[owner], begins[which][owner], corner + 1)
    (x_0, y_0), (x_1, y_1) = corners[:, corner], corners[:, after]
    x, y = points[:, at[owner]]
    side = (x_1 - x_0) * (y - y_0) - (x - x_0) * (y_1 - y_0)
    crossed = ((y_0 > y) != (y_1 > y)) & ((side > 0) == (y_1 > y_0)) & (side != 0)
    upon = (side == 0) & (np.minimum(x_0, x_1) <= x) & (x <= np.maximum(x_0, x_1))
    upon &= (np.minimum(y_0, y_1) <= y) & (y <= np.maximum(y_0, y_1))
    odd, touched = (np.bincount(owner, each, minlength=at.size) for each in (crossed, upon))
    found[which[(odd % 2 == 1) | (touched > 0)]] = True
    return found


def boxes_of(arcs: Arcs, chords: Ints) -> NDArray[np.object_]:
    """A line across the rectangle around all vertices of each chord."""
    sizes = chords[1] - chords[0] + 1
    begins = np.cumsum(sizes) - sizes
    vertex = np.arange(sizes.sum()) + np.repeat(chords[0] - begins, sizes)
    west, east, north, south = (
        extreme.reduceat(values[vertex], begins)
        for values in (arcs.col, arcs.row)
        for extreme in (np.minimum, np.maximum)
    )
    return diagonals(np.stack([west, north]), np.stack([east, south]))


def diagonals(one: Ints, other: Ints) -> NDArray[np.object_]:
    """Lines from points to points, both ``(2, n)``; a tree sees the rectangles around them."""
    lines: NDArray[np.object_] = shapely.linestrings(np.stack([one.T, other.T], axis=1))
    return lines


def _meet(arcs: Arcs, chords: Ints, one: Ints, other: Ints) -> NDArray[np.bool_]:
    """Whether pairs of chords have more in common than an end."""
    a, b, c, d = (
        np.stack([arcs.col[each], arcs.row[each]]) for each in (*chords[:, one], *chords[:, other])
    )
    ends = np.stack([(p == q).all(axis=0) for p, q in ((a, c), (a, d), (b, c), (b, d))])
    shared = ends.sum(axis=0)
    turns = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)]
    crossing = (turns[0] * turns[1] <= 0) & (turns[2] * turns[3] <= 0)
    crossing &= (
        np.maximum(np.minimum(a, b), np.minimum(c, d))
        <= np.minimum(np.maximum(a, b), np.maximum(c, d))
    ).all(axis=0)
    # With an end in common they meet elsewhere only if one lies along the other.
    at_a, at_c = ends[0] | ends[1], ends[0] | ends[2]
    forth = np.where(at_a, b - a, a - b)
    away = np.where(at_c, d - c, c - d)
    along = (forth[0] * away[1] == forth[1] * away[0]) & ((forth * away).sum(axis=0) > 0)
    meet: NDArray[np.bool_] = np.where(shared == 0, crossing, (shared == 2) | along)
    return meet


def turn(a: Ints, b: Ints, c: Ints) -> Ints:
    """The sign of the turn from a over b to c; exact, in whole numbers."""
    sign: Ints = np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    return sign


def _jumped(arcs: Arcs, chords: Ints, both: Ints, bounds: NDArray[np.float64]) -> Ints:
    """The chords that have an end of the other on another side than the vertices they stand for.

    That is: between the chord and its vertices, counted by the lines that a ray to the right from
    there crosses.

    Args:
        arcs: of a cell.
        chords: ``(2, chords)`` as above.
        both: ``(2, pairs)`` chords, and others that may be near.
        bounds: ``(chords, 4)`` of all vertices of each chord.
    """
    pairs = np.concatenate([np.stack([both[0], chords[side][both[1]]]) for side in (0, 1)], axis=1)
    x, y = arcs.col[pairs[1]], arcs.row[pairs[1]]
    west, north, east, south = bounds[pairs[0]].T
    near = (west <= x) & (x <= east) & (north <= y) & (y <= south)
    pairs, x, y = pairs[:, near], x[near], y[near]
    first, last = chords[:, pairs[0]]
    own = np.zeros(x.size, np.bool_)
    for end in (first, last):
        own |= (arcs.col[end] == x) & (arcs.row[end] == y)
    pairs, x, y, first, last = (each[..., ~own] for each in (pairs, x, y, first, last))
    sizes = last - first + 1
    owner = np.repeat(np.arange(sizes.size), sizes)
    begins = np.cumsum(sizes) - sizes
    vertex = np.arange(owner.size) + (first - begins)[owner]
    after = np.where(vertex == last[owner], first[owner], vertex + 1)
    x_0, y_0, x_1, y_1 = arcs.col[vertex], arcs.row[vertex], arcs.col[after], arcs.row[after]
    spans = (y_0 > y[owner]) != (y_1 > y[owner])
    side = (x_1 - x_0) * (y[owner] - y_0) - (x[owner] - x_0) * (y_1 - y_0)
    crossed = spans & ((side > 0) == (y_1 > y_0)) & (side != 0)
    odd = np.bincount(owner, crossed, minlength=sizes.size) % 2 == 1
    jumped: Ints = pairs[0][odd]
    return jumped
