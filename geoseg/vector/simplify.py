"""Fewer vertices along arcs: chords, none of whose vertices is farther from it than the tolerance.

Each chord leads as far as it can (`geoseg.vector.cones`); one that is too far from a vertex after
all is split at the farthest one, as Douglas and Peucker do it ("Algorithms for the reduction of the
number of points required to represent a digitized line", Cartographica 10, 1973). Where the chords
that this gives would cross, touch or jump over one another, they are split further, all at once,
until none does (`geoseg.vector.conflicts`). The arcs as they are have no conflict, so this ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.arcs import Arcs
from geoseg.vector.cones import long_chords
from geoseg.vector.conflicts import boxes_of, find_conflicts
from geoseg.vector.lines import Ints

Chords = NDArray[np.int64]
"""``(2, chords)`` first and last of the vertices that each stands for, in the lists of arcs."""
Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Metric:
    """How far vertices may be from what stands for them."""

    across: float
    """Tolerances of one pixel along a row."""
    down: float
    """Likewise along a column."""


def lines_of(arcs: Arcs) -> Chords:
    """The arcs as they are: a chord for each line."""
    number = arcs.number
    first = np.flatnonzero(number[1:] == number[:-1])
    return np.stack([first, first + 1])


def simplify(arcs: Arcs, metric: Metric, height: int, width: int) -> Chords:
    """The chords that stand for the arcs, in their order.

    Args:
        arcs: of a cell.
        metric: what is within the tolerance.
        height: of the cell.
        width: likewise.
    """
    x, y = arcs.col * metric.across, arcs.row * metric.down
    chords = _coarse(arcs, x, y)
    boxes, fresh = boxes_of(arcs, chords), np.ones(chords.shape[1], np.bool_)
    while True:
        wrong = find_conflicts(arcs, chords, boxes, fresh)
        wrong |= _beside(arcs, chords, height, width)
        if not wrong.any():
            return chords[:, np.argsort(chords[0])]
        split = chords[:, wrong]
        halves = _split(split, _farthest(split, x, y)[1])
        chords = np.concatenate([chords[:, ~wrong], halves], axis=1)
        boxes = np.concatenate([boxes[~wrong], boxes_of(arcs, halves)])
        fresh = np.arange(chords.shape[1]) >= chords.shape[1] - halves.shape[1]


def _beside(arcs: Arcs, chords: Chords, height: int, width: int) -> NDArray[np.bool_]:
    """The chords along a side of the cell that stand for vertices inside.

    Nothing would be left of a region that the side cuts into two such halves.
    """
    ends = arcs.row[chords], arcs.col[chords]
    sides = zip((ends[0], ends[0], ends[1], ends[1]), (0, height, 0, width), strict=True)
    beside = np.zeros(chords.shape[1], np.bool_)
    for each, side in sides:
        beside |= (each == side).all(axis=0)
    beside &= chords[1] - chords[0] > 1
    return beside


def _coarse(arcs: Arcs, x: Floats, y: Floats) -> Chords:
    """Chords within the tolerance, each arc by itself."""
    whole = np.stack([arcs.first[:-1], arcs.first[1:] - 1])
    lines = lines_of(arcs)
    done = [lines[:, arcs.fixed[arcs.number[lines[0]]]]]
    active = whole[:, ~arcs.fixed]
    # One that ends where it begins becomes a quadrangle at least.
    closed = (arcs.row[active[0]] == arcs.row[active[1]]) & (
        arcs.col[active[0]] == arcs.col[active[1]]
    )
    rings, active = active[:, closed], active[:, ~closed]
    for _ in range(2):
        long = rings[1] - rings[0] > 1
        rings = np.concatenate(
            [rings[:, ~long], _split(rings[:, long], _farthest(rings[:, long], x, y)[1])], axis=1
        )
    active = long_chords(np.concatenate([active, rings], axis=1), x, y)
    while active.size:
        short = active[1] - active[0] == 1
        done.append(active[:, short])
        active = active[:, ~short]
        distance, at = _farthest(active, x, y)
        near = distance <= 1.0
        done.append(active[:, near])
        active = _split(active[:, ~near], at[~near])
    return np.concatenate(done, axis=1)


def _split(chords: Chords, at: Ints) -> Chords:
    """Two chords for each, which meet at a vertex."""
    return np.concatenate([np.stack([chords[0], at]), np.stack([at, chords[1]])], axis=1)


def _farthest(chords: Chords, x: Floats, y: Floats) -> tuple[Floats, Ints]:
    """The square of the distance, and the place, of the vertex that is farthest from each chord.

    The first of several; each chord must stand for some vertex between its ends.
    """
    if not chords.size:
        return np.zeros(0), np.zeros(0, np.int64)
    first, last = chords
    sizes = last - first - 1
    begins = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(sizes.size), sizes)
    inner = np.arange(owner.size) + (first + 1 - begins)[owner]
    along_x, along_y = x[last] - x[first], y[last] - y[first]
    length = along_x**2 + along_y**2
    to_x, to_y = x[inner] - x[first][owner], y[inner] - y[first][owner]
    part = to_x * along_x[owner] + to_y * along_y[owner]
    part /= np.where(length > 0, length, 1.0)[owner]
    np.clip(part, 0.0, 1.0, out=part)
    to_x -= part * along_x[owner]
    to_y -= part * along_y[owner]
    distance = to_x**2 + to_y**2
    most = np.maximum.reduceat(distance, begins)
    at = np.flatnonzero(distance == most[owner])
    return most, inner[at[np.flatnonzero(np.diff(owner[at], prepend=-1))]]
