"""The graph of a raster's regions from the graphs of its parts, joined as a tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA
from geoseg.tiling import Window, connect
from geoseg.vector.part_regions import Side
from geoseg.vector.region_graph import AreaGraph, Large, RegionGraph

Ints = NDArray[np.int64]


def join_graphs(
    graphs: Sequence[AreaGraph], area: Window, shape: tuple[int, int], is_large: Large
) -> tuple[AreaGraph, list[NDArray[np.int64]]]:
    """The graph of an area from those of the parts, or areas, that tile it.

    Args:
        graphs: that cover the area once.
        area: of the raster.
        shape: rows and columns of the raster.
        is_large: says which regions never vanish.

    Returns:
        The area's graph, and for each graph given the region in it of each of its own; -1 where
        that has been left out, since it keeps its class whatever the others do.
    """
    firsts = np.cumsum([0, *(each.graph.class_id.size for each in graphs)])
    seams, borders = _lines(graphs, firsts, area)
    one, other, same = (np.concatenate(each) for each in zip(*seams, strict=True))
    count, number = connect(int(firsts[-1]), one[same], other[same])
    joined = _side_by_side(graphs, firsts, one[~same], other[~same]).contracted(count, number)

    goes_on = (
        area.row > 0,
        area.row_end < shape[0],
        area.col > 0,
        area.col_end < shape[1],
    )
    numbered = np.append(number, -1)
    sides = [Side(numbered[side.piece], side.class_id) for side in borders]
    is_open = np.zeros(count, np.bool_)
    for side, is_border in zip(sides, goes_on, strict=True):
        is_open[side.piece[(side.piece >= 0) & is_border]] = True
    kept, place = _what_matters(joined, is_open, is_large)
    sides = [Side(place[side.piece], side.class_id) for side in sides]
    numbers = place[number]
    return AreaGraph(area, kept, *sides), [numbers[start:end] for start, end in pairwise(firsts)]


def _side_by_side(
    graphs: Sequence[AreaGraph], firsts: NDArray[np.int64], one: Ints, other: Ints
) -> RegionGraph:
    """Several graphs as one, with the regions on both sides of each pixel side between them."""
    parts = [each.graph for each in graphs]
    moved = list(zip(parts, firsts[:-1], strict=True))
    across = np.ones(one.size, np.int64)
    return RegionGraph(
        np.concatenate([part.class_id for part in parts]),
        np.concatenate([part.area for part in parts]),
        np.concatenate([part.first for part in parts]),
        np.concatenate([*(part.one + first for part, first in moved), one]),
        np.concatenate([*(part.other + first for part, first in moved), other]),
        np.concatenate([*(part.length for part in parts), across]),
    )


Seam = tuple[Ints, Ints, NDArray[np.bool_]]


def _lines(
    graphs: Sequence[AreaGraph], firsts: NDArray[np.int64], area: Window
) -> tuple[list[Seam], list[Side]]:
    """What meets across each line between graphs, and the pixels along the area's sides.

    A seam: regions on both sides of each pixel side, and whether they are of one class.
    """
    sides: dict[tuple[str, int], list[tuple[int, Side]]] = defaultdict(list)
    for each, first in zip(graphs, firsts[:-1].tolist(), strict=True):
        place = each.area
        lines = (place.row, place.row_end, place.col, place.col_end)
        starts = (place.col - area.col, place.col - area.col) + 2 * (place.row - area.row,)
        for name, line, start, side in zip(_NAMES, lines, starts, each.sides, strict=True):
            pieces = np.where(side.piece >= 0, side.piece + first, -1)
            sides[name, line].append((start, Side(pieces, side.class_id)))

    def along(name: str, at: int) -> Side:
        size = area.width if name in _NAMES[:2] else area.height
        whole = Side(np.full(size, -1), np.full(size, NODATA, np.uint8))
        for start, side in sides[name, at]:
            whole.piece[start : start + side.piece.size] = side.piece
            whole.class_id[start : start + side.piece.size] = side.class_id
        return whole

    none = np.zeros(0, np.int64)
    seams: list[Seam] = [(none, none, none > 0)]
    for before, after in (("bottom", "top"), ("right", "left")):
        for at in sorted(at for name, at in sides if name == after and (before, at) in sides):
            one, other = along(before, at), along(after, at)
            meet = (one.piece >= 0) & (other.piece >= 0)
            same = one.class_id == other.class_id
            seams.append((one.piece[meet], other.piece[meet], same[meet]))
    ends = (area.row, area.row_end, area.col, area.col_end)
    return seams, [along(*each) for each in zip(_NAMES, ends, strict=True)]


_NAMES = ("top", "bottom", "left", "right")


def _what_matters(
    graph: RegionGraph, is_open: NDArray[np.bool_], is_large: Large
) -> tuple[RegionGraph, NDArray[np.int64]]:
    """The graph without what can never matter, and the place in it of each region, else -1."""
    settled = ~is_open & is_large(graph.class_id, graph.area)
    graph = graph.where(~(settled[graph.one] & settled[graph.other]))
    stays = is_open.copy()
    stays[graph.one] = stays[graph.other] = True
    place = np.append(np.where(stays, np.cumsum(stays) - 1, -1), -1)
    kept = RegionGraph(
        graph.class_id[stays],
        graph.area[stays],
        graph.first[stays],
        place[graph.one],
        place[graph.other],
        graph.length,
    )
    return kept, place
