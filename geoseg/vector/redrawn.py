"""The arcs of a cell with walls in place of the borders that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.arcs import Arcs
from geoseg.vector.fitted import Fitted, stations_of
from geoseg.vector.lines import Ints
from geoseg.vector.stretches import Nodes, Owned, Stretches


@dataclass(frozen=True, slots=True)
class Redrawn:
    """Arcs: first those of walls, then the others, whose ends may have slid."""

    arcs: Arcs
    stretch: Ints
    """That each vertex lies on; -1 where it is where it was."""
    wall: Ints
    """``(2, vertices)`` walls that decide where each vertex is; -1: none."""
    of_walls: NDArray[np.bool_]
    """Which arcs are."""
    name: Ints
    """Of each vertex: the same for the ends of arcs that meet in a node."""
    order: Ints
    """Which of the arcs before each one was."""
    turned: NDArray[np.bool_]
    """Whether it runs the other way."""

    def causes(self, lines: Ints) -> Ints:
        """``(4, lines)`` walls that decide where lines are; -1: none.

        Args:
            lines: ``(2, lines)`` first and last vertex of each.
        """
        owned = self.of_walls[self.arcs.number[lines[0]]]
        # A line of a wall is where its own wall is: the second one of the vertex it begins at.
        begin = np.where(
            owned, [np.full(owned.size, -1), self.wall[1, lines[0]]], self.wall[:, lines[0]]
        )
        return np.concatenate([begin, np.where(owned, -1, self.wall[:, lines[1]])])

    def twisted(self, before: Arcs, nodes: Nodes) -> NDArray[np.bool_]:
        """The lines at whose ends arcs follow one another in another order than before.

        Args:
            before: the arcs as they were.
            nodes: where these end.
        """
        node = np.stack([nodes.start, nodes.end], axis=1)[self.order]
        ways = []
        for arcs, chosen, turned in (
            (before, self.order, np.zeros(self.order.size, np.bool_)),
            (self.arcs, np.arange(self.order.size), self.turned),
        ):
            tip = np.stack([arcs.first[chosen], arcs.first[chosen + 1] - 1], axis=1)
            inner = tip + np.array([1, -1])
            angle = np.arctan2(arcs.row[inner] - arcs.row[tip], arcs.col[inner] - arcs.col[tip])
            angle[turned] = angle[turned, ::-1]
            ways.append(angle)
        wrong = _following(node, ways[0]) != _following(node, ways[1])
        wrong[self.turned] = wrong[self.turned, ::-1]
        # Each arc has a line less than vertices.
        number = np.arange(self.order.size)
        lines = self.arcs.first[:-1] - number, self.arcs.first[1:] - number - 2
        found = np.zeros(self.arcs.row.size - number.size, np.bool_)
        for end, line in enumerate(lines):
            found[line[wrong[:, end] & ~self.arcs.island]] = True
        return found


def _following(node: Ints, angle: NDArray[np.float64]) -> Ints:
    """The end of an arc that comes after each one, on the way round its node."""
    order = np.lexsort((angle.ravel(), node.ravel()))
    sorted_node = node.ravel()[order]
    heads = np.flatnonzero(np.diff(sorted_node, prepend=-2))
    tails = np.append(heads[1:], order.size) - 1
    after = np.append(order[1:], order[:1])
    after[tails] = order[heads]
    following = np.empty(order.size, np.int64)
    following[order] = after
    return following.reshape(node.shape)


@dataclass(frozen=True, slots=True)
class _Points:
    """Where walls begin and points have slid to, by stretches; of open ones their ends too."""

    station: Ints
    row: Ints
    col: Ints
    before: Ints
    """The wall that leads there; -1: none."""
    after: Ints
    """The wall that leads on."""
    first: Ints
    """Where each stretch begins; one entry more at the end."""


def redraw(arcs: Arcs, owned: Owned, nodes: Nodes, stretches: Stretches, walls: Fitted) -> Redrawn:
    """Arcs with walls.

    Args:
        arcs: drawn ones of a cell.
        owned: of them.
        nodes: where they end.
        stretches: that they are parts of.
        walls: of all stretches.
    """
    points = _find_points(stretches, walls)
    others = np.flatnonzero(owned.region < 0)
    mine, vertices, sizes = _along(stretches, points)
    rest = np.concatenate(
        [np.arange(arcs.first[each], arcs.first[each + 1]) for each in others] or [mine[:0]]
    )
    rest_sizes = np.diff(arcs.first)[others]
    row, col = (
        np.concatenate([new[vertices], old[rest]])
        for new, old in ((points.row, arcs.row), (points.col, arcs.col))
    )
    first = np.concatenate([[0], np.cumsum(np.concatenate([sizes, rest_sizes]))])
    of_point = np.repeat(np.arange(stretches.region.size), np.diff(points.first))
    none = np.full(rest.size, -1)
    stretch = np.concatenate([of_point[vertices], none])
    wall = np.stack(
        [np.concatenate([each[vertices], none]) for each in (points.before, points.after)]
    )
    # Others end where their nodes have slid to.
    node = stretches.node[points.station]
    where = np.full(nodes.slides.size + 1, -1)
    where[node[node >= 0]] = np.flatnonzero(node >= 0)
    starts = first[mine.size : -1]
    for vertex, own in ((starts, nodes.start), (starts + rest_sizes - 1, nodes.end)):
        at = where[own[others]]
        slid, to = vertex[at >= 0], at[at >= 0]
        row[slid], col[slid], stretch[slid] = points.row[to], points.col[to], of_point[to]
        wall[0, slid], wall[1, slid] = points.before[to], points.after[to]
    order = np.concatenate([mine, others])
    turned = owned.turned[order] & (owned.region[order] >= 0)
    left, right = arcs.left[order], arcs.right[order]
    redrawn = Arcs(
        row, col, first, np.where(turned, right, left), np.where(turned, left, right),
        arcs.fixed[order], arcs.island[order],
    )  # fmt: skip
    name = nodes.slides.size + np.arange(row.size)
    ends = np.where(
        turned, (nodes.end[order], nodes.start[order]), (nodes.start[order], nodes.end[order])
    )
    # An island ends where it begins.
    name[first[:-1]], name[first[1:] - 1] = np.where(redrawn.island, name[first[:-1]], ends)
    of_walls = owned.region[order] >= 0
    return Redrawn(redrawn, stretch, wall, of_walls, name, order, turned)


def _find_points(stretches: Stretches, walls: Fitted) -> _Points:
    number = np.arange(walls.begin.size)
    heads = np.diff(walls.stretch, prepend=-1) != 0
    tails = np.flatnonzero(np.diff(walls.stretch, append=-1))
    ring = stretches.is_ring[walls.stretch]
    before = number - 1
    before[heads] = np.where(ring[heads], tails, -1)
    open_ends = tails[~ring[tails]]
    # Points that slide, within walls.
    owner, station = stations_of(stretches, walls)
    inner = (stretches.node[station] >= 0) & (station != walls.begin[owner])
    inner &= station != walls.end[owner]
    owner, station = owner[inner], station[inner]
    row, col = _projected(stretches, walls, owner, station)
    columns = [
        np.concatenate(each)
        for each in (
            (walls.begin, station, walls.end[open_ends]),
            (walls.row, row, walls.end_row[open_ends]),
            (walls.col, col, walls.end_col[open_ends]),
            (before, owner, open_ends),
            (number, owner, open_ends),
        )
    ]
    order = np.argsort(columns[0])
    station, row, col, leading, following = (each[order] for each in columns)
    first = np.searchsorted(station, stretches.first)
    return _Points(station, row, col, leading, following, first)


def _projected(
    stretches: Stretches, walls: Fitted, owner: Ints, station: Ints
) -> tuple[Ints, Ints]:
    """The points of walls that are nearest to stations."""
    row, col = walls.row[owner], walls.col[owner]
    down, right = walls.end_row[owner] - row, walls.end_col[owner] - col
    forth = (stretches.row[station] - row) * down + (stretches.col[station] - col) * right
    part = forth / (down**2 + right**2)
    return (
        np.rint(row + part * down).astype(np.int64),
        np.rint(col + part * right).astype(np.int64),
    )


def _along(stretches: Stretches, points: _Points) -> tuple[Ints, Ints, Ints]:
    """The arcs of stretches, the points along all of them, and how many each has."""
    begin = np.flatnonzero(stretches.arc >= 0)
    number = stretches.number[begin]
    first, count = points.first[number], np.diff(points.first)[number]
    start = np.searchsorted(points.station, begin)
    ring = stretches.is_ring[number]
    island = ring & (stretches.node[begin] < 0)
    start[island] = first[island]
    tails = np.diff(number, append=-1) != 0
    heads = np.flatnonzero(np.diff(number, prepend=-1))
    stop = np.append(start[1:], 0)
    stop[tails] = np.where(ring[tails], start[heads], first[tails] + count[tails] - 1)
    size = np.where(ring, (stop - start) % np.maximum(count, 1), stop - start)
    size = np.where(ring & (size == 0), count, size) + 1
    owner = np.repeat(np.arange(size.size), size)
    step = np.arange(owner.size) - (np.cumsum(size) - size)[owner]
    vertices = first[owner] + (start[owner] - first[owner] + step) % count[owner]
    return stretches.arc[begin], vertices, size
