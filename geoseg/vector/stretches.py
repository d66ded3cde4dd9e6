"""Borders of chosen regions, from a point that stays to the next one, or all around.

  | a        r is a region of a chosen class. Where three arcs meet and two of them are of r's
--o----o--   border (o), the point may slide along it: the third arc gives way. So the border
  | r  |     goes on through it. It ends where more borders meet, where one of the arcs is
  |    |     beside no data or of another chosen region, and at the sides of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.arcs import Arcs
from geoseg.vector.lines import Ints

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nodes:
    """Where arcs end."""

    start: Ints
    """Node where each arc begins; -1 for an island."""
    end: Ints
    slides: NDArray[np.bool_]
    """Whether each node may be moved."""


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches one after the other, as lists of stations: vertices, and the middles of some lines.

    A ring begins and ends in the middle of its longest line, which is no vertex.
    """

    row: Floats
    """Of each station, in the units of the arcs."""
    col: Floats
    node: Ints
    """That may slide, at each station; else -1."""
    arc: Ints
    """That begins at each station, forward or backward; -1 where none does."""
    first: Ints
    """Where each stretch begins; one entry more at the end."""
    is_ring: NDArray[np.bool_]
    region: Ints
    """To the left of each stretch, seen on a screen."""

    @property
    def number(self) -> Ints:
        """The stretch of each station."""
        return np.repeat(np.arange(self.region.size), np.diff(self.first))


@dataclass(frozen=True, slots=True)
class Owned:
    """Which arcs are of the borders of chosen regions."""

    region: Ints
    """That each arc belongs to; -1: none."""
    turned: NDArray[np.bool_]
    """Whether the region is to the right of the arc."""


def find_owned(arcs: Arcs, class_id: NDArray[np.uint8], classes: Sequence[int]) -> Owned:
    """The arcs that may get right angles: of two chosen regions, that of the class named first.

    Args:
        arcs: of a cell.
        class_id: of each region.
        classes: that are chosen.
    """
    none = len(classes)
    rank = np.full(256, none)
    rank[list(classes)] = np.arange(none)
    of_region = np.append(rank[class_id], none)  # the last one is of region -1
    left, right = of_region[arcs.left], of_region[arcs.right]
    inside = ~arcs.fixed & (arcs.left >= 0) & (arcs.right >= 0)
    owned = inside & (np.minimum(left, right) < none)
    turned = right < left
    return Owned(np.where(owned, np.where(turned, arcs.right, arcs.left), -1), turned)


def find_nodes(arcs: Arcs, owned: Owned, height: int, width: int) -> Nodes:
    """Where arcs end, and which of these points may slide.

    Args:
        arcs: of a cell.
        owned: of them.
        height: of the cell, in their units.
        width: likewise.
    """
    ends = np.stack([arcs.first[:-1], arcs.first[1:] - 1])
    row, col = arcs.row[ends], arcs.col[ends]
    where = row * (width + 1) + col
    lines = ~arcs.island
    _, number = np.unique(where[:, lines], return_inverse=True)
    node = np.full(ends.shape, -1)
    node[:, lines] = number.reshape(2, -1)
    count = int(number.max(initial=-1)) + 1

    def counted(chosen: NDArray[np.bool_]) -> Ints:
        return np.bincount(node[np.broadcast_to(chosen, ends.shape) & lines], minlength=count)

    of = owned.region
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    for side in node:
        mine = (of >= 0) & lines
        np.minimum.at(low, side[mine], of[mine])
        np.maximum.at(high, side[mine], of[mine])
    on_side = (row == 0) | (col == 0) | (row == height) | (col == width)
    slides = (counted(lines) == 3) & (counted(of >= 0) == 2) & (low == high)
    slides &= counted(arcs.fixed | on_side) == 0
    return Nodes(node[0], node[1], slides)


def find_stretches(arcs: Arcs, owned: Owned, nodes: Nodes) -> Stretches:
    """The stretches of all borders of chosen regions; there is one at least."""
    chains, is_ring = _chains(arcs, owned, nodes)
    order = np.array([arc for chain in chains for arc in chain], np.int64)
    chain = np.repeat(np.arange(len(chains)), [len(each) for each in chains])
    # The vertices of each arc without its last, which is the next one's first.
    sizes = np.diff(arcs.first)[order] - 1
    turned = owned.turned[order]
    begin = np.where(turned, arcs.first[order + 1] - 1, arcs.first[order])
    at_arc = np.cumsum(sizes) - sizes
    step = np.arange(int(sizes.sum())) - np.repeat(at_arc, sizes)
    vertex = np.repeat(begin, sizes) + step * np.repeat(np.where(turned, -1, 1), sizes)
    number = np.repeat(chain, sizes)
    arc, node = np.full(vertex.size, -1), np.full(vertex.size, -1)
    arc[at_arc] = order
    start = np.where(turned, nodes.end[order], nodes.start[order])
    node[at_arc] = np.where(np.append(nodes.slides, False)[start], start, -1)
    last = np.flatnonzero(np.diff(chain, append=-1))
    ends = np.where(turned[last], arcs.first[order[last]], arcs.first[order[last] + 1] - 1)
    return _stations(arcs, (vertex, number, node, arc), ends, is_ring, owned.region[order[last]])


def _chains(arcs: Arcs, owned: Owned, nodes: Nodes) -> tuple[list[list[int]], NDArray[np.bool_]]:
    """Arcs that follow one another, and whether the last leads to the first."""
    mine = np.flatnonzero(owned.region >= 0)
    turned = owned.turned[mine]
    start = np.where(turned, nodes.end[mine], nodes.start[mine])
    end = np.where(turned, nodes.start[mine], nodes.end[mine])
    leaving = np.full(nodes.slides.size + 1, -1)
    leaving[start] = mine  # where a node slides, one arc leaves
    slides = np.append(nodes.slides, False)
    after = np.full(arcs.left.size, -1)
    after[mine] = np.where(slides[end], leaving[end], -1)
    island = arcs.island[mine]
    after[mine[island]] = mine[island]
    begins = mine[~island & ~slides[start]]
    following, seen = after.tolist(), bytearray(after.size)
    chains: list[list[int]] = []
    rings: list[bool] = []
    for first in (*begins.tolist(), *mine.tolist()):
        at, chain = first, []
        while at >= 0 and not seen[at]:
            seen[at] = 1
            chain.append(at)
            at = following[at]
        if chain:
            chains.append(chain)
            rings.append(at == first)
    return chains, np.array(rings, np.bool_)


def _stations(
    arcs: Arcs,
    columns: tuple[Ints, Ints, Ints, Ints],
    ends: Ints,
    is_ring: NDArray[np.bool_],
    region: Ints,
) -> Stretches:
    """Stretches with their ends; rings begin in the middle of their longest lines."""
    vertex, number, node, arc = columns
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    stops = np.append(begins[1:], number.size)
    found = []
    for begin, stop, end, ring in zip(
        begins.tolist(), stops.tolist(), ends.tolist(), is_ring.tolist(), strict=True
    ):
        listed = np.arange(begin, stop)
        row, col = (each[np.append(vertex[begin:stop], end)] for each in (arcs.row, arcs.col))
        if ring:
            longest = int(np.argmax(np.diff(row) ** 2 + np.diff(col) ** 2))
            middle = [(each[longest] + each[longest + 1]) / 2 for each in (row, col)]
            listed = np.roll(listed, -longest - 1)
            row, col = (
                np.concatenate([[at], np.roll(each[:-1], -longest - 1), [at]])
                for each, at in zip((row, col), middle, strict=True)
            )
        none = np.array([-1])
        sides = [none, none] if ring else [none[:0], none]
        own = [np.concatenate([sides[0], each[listed], sides[1]]) for each in (node, arc)]
        found.append((row, col, *own))
    row, col, node, arc = (np.concatenate(each) for each in zip(*found, strict=True))
    sizes = stops - begins + 1 + is_ring
    return Stretches(
        row.astype(np.float64), col.astype(np.float64), node, arc,
        np.concatenate([[0], np.cumsum(sizes)]), is_ring, region,
    )  # fmt: skip
