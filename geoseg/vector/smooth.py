r"""Borders without corners: Chaikin's cuts at a quarter of each edge, two rounds of them.

"An algorithm for high-speed curve generation" (Computer Graphics and Image Processing 3, 1974).
What a round gives depends on a vertex and its two neighbours alone, and quarters of whole numbers
are exact, so regions on both sides of a border get the same vertices, bit for bit.

      P        The new border lies between the corner P and the line between the middles m of its
     / \       edges. Where another border reaches in there, the corner stays, so none is crossed.
    m---m
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.arcs import Arcs
from geoseg.vector.conflicts import diagonals, turn
from geoseg.vector.lines import Ints

ROUNDS = 2
"""After a third one, a border would pass the middles where an edge has one end that stays."""

_CORNERS = 50_000
"""Whose neighbours are looked at at a time."""


def find_free(arcs: Arcs, lines: Ints, smooth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the vertices of arcs may be cut off: none of an end, or beside no data.

    Args:
        arcs: drawn ones of a cell.
        lines: ``(2, lines)`` first and last vertex of each, in their order.
        smooth: arcs whose corners are to be cut off.
    """
    free = np.zeros(arcs.row.size, np.bool_)
    number = arcs.number[lines[0]]
    before = np.flatnonzero(number[1:] == number[:-1])
    after = before + 1
    # An island's first vertex lies between its last and its first line.
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(begins[1:], number.size) - 1
    islands = arcs.island[number[begins]]
    before = np.concatenate([before, ends[islands]])
    after = np.concatenate([after, begins[islands]])
    loose = (smooth & ~arcs.fixed)[number[before]]
    before, after = before[loose], after[loose]
    cut = ~_reached(arcs, lines, before, after)
    free[lines[1][before[cut]]] = free[lines[0][after[cut]]] = True
    return free


def _reached(arcs: Arcs, chords: Ints, before: Ints, after: Ints) -> NDArray[np.bool_]:
    """Whether a third chord reaches into the triangle of a corner and the middles of its edges.

    Args:
        arcs: of a cell.
        chords: as above.
        before: the chord to each corner.
        after: the one from there on.
    """
    # In half units, so that middles are whole numbers.
    point = 2 * np.stack([arcs.col, arcs.row])
    corner = point[:, chords[1][before]]
    one = (corner + point[:, chords[0][before]]) // 2
    other = (corner + point[:, chords[1][after]]) // 2
    begin, end = point[:, chords[0]], point[:, chords[1]]
    boxes = [
        diagonals(np.minimum.reduce(around), np.maximum.reduce(around))
        for around in ((begin, end), (corner, one, other))
    ]
    tree = shapely.STRtree(boxes[0])
    reached = np.zeros(before.size, np.bool_)
    for first in range(0, before.size, _CORNERS):
        at, chord = tree.query(boxes[1][first : first + _CORNERS])
        at += first
        third = (chord != before[at]) & (chord != after[at])
        at, chord = at[third], chord[third]
        a, b, c = corner[:, at], one[:, at], other[:, at]
        p, q = begin[:, chord], end[:, chord]
        crossing = (turn(p, q, b) * turn(p, q, c) <= 0) & (turn(b, c, p) * turn(b, c, q) <= 0)
        sides = [turn(a, b, p), turn(b, c, p), turn(c, a, p)]
        inside = (np.minimum.reduce(sides) >= 0) | (np.maximum.reduce(sides) <= 0)
        reached[at[crossing | inside]] = True
    return reached


def rounded(
    coordinates: NDArray[np.float64], free: NDArray[np.bool_], begins: Ints
) -> tuple[NDArray[np.float64], Ints]:
    """Rings with their free corners cut off.

    Args:
        coordinates: ``(vertices, 2)`` of rings, one after the other, none of them closed.
        free: whether each vertex is cut off.
        begins: where each ring begins; one entry more at the end.

    Returns:
        The same of the new rings.
    """
    for _ in range(ROUNDS):
        ring = np.repeat(np.arange(begins.size - 1), np.diff(begins))
        place = np.arange(free.size)
        before = np.where(place == begins[ring], begins[ring + 1], place) - 1
        after = np.where(place + 1 == begins[ring + 1], begins[ring], place + 1)
        near = [(coordinates[each] + 3 * coordinates) / 4 for each in (before, after)]
        counts = 1 + free
        target = np.cumsum(counts) - counts
        cut = np.empty((int(counts.sum()), 2))
        cut[target] = np.where(free[:, None], near[0], coordinates)
        cut[target[free] + 1] = near[1][free]
        begins = np.append(target, counts.sum())[begins]
        coordinates, free = cut, np.repeat(free, counts)
    return coordinates, begins
