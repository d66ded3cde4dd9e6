"""The borders of regions as arcs: each once, from a node to a node.

a a | b b       A vertex is a grid point where a border turns, or where borders meet. Where three
a a o---+       or more meet, and on the sides of the cell, it is a node (o): it stays where it
a a | c c       is. An arc runs from node to node between the same two regions, or all around an
----o---+       island.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA
from geoseg.vector.components import Components

Ints = NDArray[np.int64]

UNIT = 64
"""Parts of a pixel in which drawn arcs are counted."""

_ROWS = 128
"""That are looked at at a time: as many as stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class Arcs:
    """Arcs, one after the other, as lists of vertices."""

    row: Ints
    """Of each vertex of each arc: both ends are listed, an island's first vertex twice."""
    col: Ints
    first: Ints
    """Where each arc begins in these lists; one entry more at the end."""
    left: Ints
    """Region to the left of each arc, seen on a screen; -1 where there is none in this cell."""
    right: Ints
    fixed: NDArray[np.bool_]
    """Of each arc: it must not be moved, since there is no data on one side."""
    island: NDArray[np.bool_]
    """Of each arc: it has no node."""

    @property
    def number(self) -> Ints:
        """The arc of each vertex."""
        return np.repeat(np.arange(self.left.size), np.diff(self.first))

    def drawn(self, chords: Ints) -> Arcs:
        """The arcs with the ends of chords alone, in units of 1 / `UNIT` pixel.

        Args:
            chords: ``(2, chords)`` first and last of the vertices that each stands for.
        """
        used = np.zeros(self.row.size, np.bool_)
        used[chords] = True
        first = np.concatenate([[0], np.cumsum(used)])[self.first]
        return replace(self, row=self.row[used] * UNIT, col=self.col[used] * UNIT, first=first)


@dataclass(frozen=True, slots=True)
class _Vertices:
    row: Ints
    col: Ints
    right: NDArray[np.bool_]
    """Whether a border leaves to the right."""
    below: NDArray[np.bool_]
    is_node: NDArray[np.bool_]


def find_arcs(framed: NDArray[np.uint8], components: Components) -> Arcs:
    """The arcs of a cell of a raster.

    Args:
        framed: ``(height + 2, width + 2)`` classes of the cell and of the pixels around it; 255
            where there is none.
        components: of the cell alone.
    """
    height, width = framed.shape[0] - 2, framed.shape[1] - 2
    vertices = _vertices(framed)
    row, col = vertices.row, vertices.col
    along = np.flatnonzero(vertices.right & (col < width))
    order = np.argsort(col * (height + 1) + row)
    down = np.flatnonzero((vertices.below & (row < height))[order])
    # A straight line leads to the next vertex of its row or column.
    start = np.concatenate([along, order[down]])
    end = np.concatenate([along + 1, order[down + 1]])
    lines = along.size

    # Pixels at both sides of a line: of one to the right, above and below; of one down, right and
    # left.
    stride = width + 2
    corner = row[start] * stride + col[start]
    is_down = np.arange(start.size) >= lines
    left = corner + np.where(is_down, stride + 1, 1)
    right = corner + np.where(is_down, stride, stride + 1)
    fixed = (framed.ravel()[left] == NODATA) | (framed.ravel()[right] == NODATA)
    sides = [components.region_at(each).astype(np.int64) for each in (left, right)]

    path, first = _walk(_following(vertices, start, end, lines), vertices, start, end)
    line, is_back = path >> 1, (path & 1).astype(np.bool_)
    tail, head = np.where(is_back, (end[line], start[line]), (start[line], end[line]))
    sizes = np.diff(first, append=path.size)
    begins = np.concatenate([[0], np.cumsum(sizes + 1)])
    listed = np.empty(path.size + first.size, np.int64)
    is_first = np.zeros(listed.size, np.bool_)
    is_first[begins[:-1]] = True
    listed[is_first], listed[~is_first] = tail[first], head
    turned = is_back[first]
    return Arcs(
        row[listed],
        col[listed],
        begins,
        np.where(turned, sides[1][line[first]], sides[0][line[first]]),
        np.where(turned, sides[0][line[first]], sides[1][line[first]]),
        fixed[line[first]],
        ~vertices.is_node[tail[first]],
    )


def _vertices(framed: NDArray[np.uint8]) -> _Vertices:
    """The vertices of a cell row by row, found in some rows at a time."""
    height, width = framed.shape[0] - 2, framed.shape[1] - 2
    found = []
    for first in range(0, height + 1, _ROWS):
        rows = framed[first : first + _ROWS + 1]
        across, down = rows[:, 1:] != rows[:, :-1], rows[1:] != rows[:-1]
        above, below, left, right = across[:-1], across[1:], down[:, :-1], down[:, 1:]
        here = (above | below) & (left | right)
        # A border that crosses a side of the cell.
        for line in ({0, height - first} if not first else {height - first}) & {*range(_ROWS)}:
            here[line] |= above[line] & below[line]
        for line in (0, -1):
            here[:, line] |= left[:, line] & right[:, line]
        row, col = np.nonzero(here)
        sides = [side[row, col] for side in (above, below, left, right)]
        found.append((row + first, col, *sides))
    row, col, *sides = (np.concatenate(each) for each in zip(*found, strict=True))
    _, below, _, right = sides
    meeting = sum(side.astype(np.int8) for side in sides)
    on_side = (row == 0) | (col == 0) | (row == height) | (col == width)
    return _Vertices(row, col, right, below, on_side | (meeting > 2))


def _following(vertices: _Vertices, start: Ints, end: Ints, lines: int) -> Ints:
    """The directed line after each; -1 after one that ends in a node.

    Directed lines are numbered 2k from `start` to `end`, 2k + 1 back. Those to the right, and back,
    come first: `lines` of them.
    """
    other = np.empty((2, vertices.row.size), np.int64)
    number = np.arange(start.size)
    for kind, chosen in enumerate((number[lines:], number[:lines])):
        # Where a border turns, one line of each direction ends.
        other[kind, start[chosen]] = other[kind, end[chosen]] = chosen
    heads = np.column_stack([end, start]).ravel()
    is_down = np.repeat(number >= lines, 2)
    turn = ~vertices.is_node[heads]
    following = np.full(heads.size, -1)
    after = other[is_down[turn].astype(np.int64), heads[turn]]
    following[turn] = 2 * after + (start[after] != heads[turn])
    return following


def _walk(following: Ints, vertices: _Vertices, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The directed lines of each arc, and where each arc begins.

    A plain loop over a list: chasing pointers is the one thing that numpy does not do faster.
    """
    tails = np.column_stack([start, end]).ravel()
    from_nodes = np.flatnonzero(vertices.is_node[tails]).tolist()
    after = following.tolist()
    seen = bytearray(start.size)
    path: list[int] = []
    first: list[int] = []
    visit = path.append
    for begin in (*from_nodes, *range(0, len(after), 2)):
        at = begin
        if seen[at >> 1]:
            continue
        first.append(len(path))
        while at >= 0 and not seen[at >> 1]:
            seen[at >> 1] = 1
            visit(at)
            at = after[at]
    return np.array(path, np.int64), np.array(first, np.int64)
