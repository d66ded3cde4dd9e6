"""The borders of regions as arcs: each once, from a node to a node.

An arc follows lines (`geoseg.vector.lines`) from node to node between the same two regions, or all
around an island.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.lines import Ints, Lines

UNIT = 64
"""Parts of a pixel in which drawn arcs are counted."""


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


def find_arcs(lines: Lines) -> Arcs:
    """The arcs of a cell of a raster, from its lines."""
    vertices, start, end = lines.vertices, lines.start, lines.end
    path, first = _walk(lines)
    line, is_back = path >> 1, (path & 1).astype(np.bool_)
    tail, head = np.where(is_back, (end[line], start[line]), (start[line], end[line]))
    sizes = np.diff(first, append=path.size)
    begins = np.concatenate([[0], np.cumsum(sizes + 1)])
    listed = np.empty(path.size + first.size, np.int64)
    is_first = np.zeros(listed.size, np.bool_)
    is_first[begins[:-1]] = True
    listed[is_first], listed[~is_first] = tail[first], head
    turned, line = is_back[first], line[first]
    return Arcs(
        vertices.row[listed],
        vertices.col[listed],
        begins,
        np.where(turned, lines.right[line], lines.left[line]),
        np.where(turned, lines.left[line], lines.right[line]),
        lines.fixed[line],
        ~vertices.is_node[tail[first]],
    )


def _following(lines: Lines) -> Ints:
    """The directed line after each; -1 after one that ends in a node.

    Directed lines are numbered 2k from `start` to `end`, 2k + 1 back.
    """
    vertices, start, end = lines.vertices, lines.start, lines.end
    other = np.empty((2, vertices.row.size), np.int64)
    number = np.arange(start.size)
    for kind, chosen in enumerate((number[lines.rightward :], number[: lines.rightward])):
        # Where a border turns, one line of each direction ends.
        other[kind, start[chosen]] = other[kind, end[chosen]] = chosen
    heads = np.column_stack([end, start]).ravel()
    is_down = np.repeat(number >= lines.rightward, 2)
    turn = ~vertices.is_node[heads]
    following = np.full(heads.size, -1)
    after = other[is_down[turn].astype(np.int64), heads[turn]]
    following[turn] = 2 * after + (start[after] != heads[turn])
    return following


def _walk(lines: Lines) -> tuple[Ints, Ints]:
    """The directed lines of each arc, and where each arc begins.

    A plain loop: chasing pointers is the one thing that numpy does not do faster.
    """
    tails = np.column_stack([lines.start, lines.end]).ravel()
    after = _following(lines).data
    path, first = array("q"), array("q")
    visit = path.append
    walked = bytearray(len(after))  # of an arc between nodes, the line back from its end
    for at in np.flatnonzero(lines.vertices.is_node[tails]).tolist():
        if walked[at]:
            continue
        first.append(len(path))
        last = at
        while at >= 0:
            visit(at)
            last, at = at, after[at]
        walked[last ^ 1] = 1

    # All the others are islands. What lies around one has an earlier first pixel than what lies in
    # it, so a smaller number, and is to the left of its uppermost line to the right: that way each
    # is walked, from there. (Of no data around or in it, the number is the least: then the way may
    # be the other one, and no vertex of it moves.)
    around = np.column_stack([lines.left < lines.right, lines.right < lines.left]).ravel()
    between_nodes = np.array(path)
    around[between_nodes] = around[between_nodes ^ 1] = False
    for at in np.flatnonzero(around).tolist():
        if after[at] < 0:
            continue
        first.append(len(path))
        while after[at] >= 0:
            visit(at)
            after[at], at = -1, after[at]
    return np.array(path), np.array(first)
