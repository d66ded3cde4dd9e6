"""How a raster's polygons are shared out: areas of some parts, and areas of areas above them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import ceil, inf

from geoseg.tiling import Block, Window

AREA_PIXELS = 2**25
"""What a task polygonizes as a rule, unless a part is larger: some ten seconds of work."""
_JOINED = 16
"""Areas that a task joins at most."""

Edges = tuple[list[int], list[int]]
"""First row of each row of areas, first column of each column of areas; and the ends of both."""


def area_tree(blocks: Sequence[Block], most: int | None = None) -> list[list[Window]]:
    """The areas of a raster: first those that hold parts, then those that hold these, and so on.

    The last is all that the blocks cover, alone. Each level covers it once, in row-major order.

    Args:
        blocks: all of its plan, row-major.
        most: pixels of one of the first, unless a part has more; None: `AREA_PIXELS`.
    """
    return _tree(_part_edges(blocks), most)


def _tree(edges: Edges, most: int | None) -> list[list[Window]]:
    edges = _grouped(edges, most_pixels=most or AREA_PIXELS)
    levels = [_windows(edges)]
    while len(levels[-1]) > 1:
        edges = _grouped(edges, most=_JOINED)
        levels.append(_windows(edges))
    return levels


def cell_tree(extent: Window, side: int, most: int | None = None) -> list[list[Window]]:
    """The areas of a raster that is worked on in cells of a fixed lattice, as `area_tree` has them.

    Args:
        extent: of the raster; cells are counted from its corner.
        side: of a cell.
        most: as of `area_tree`.
    """
    cells = (
        [*range(extent.row, extent.row_end, side), extent.row_end],
        [*range(extent.col, extent.col_end, side), extent.col_end],
    )
    return _tree(cells, most)


def cells_of(area: Window, extent: Window, side: int) -> list[Window]:
    """The cells in an area of `cell_tree`, in row-major order."""
    rows, cols = (
        [*range(start + (first - start) // side * side, end, side), end]
        for start, first, end in (
            (extent.row, area.row, area.row_end),
            (extent.col, area.col, area.col_end),
        )
    )
    return _windows((rows, cols))


def _part_edges(blocks: Sequence[Block]) -> Edges:
    """Blocks lie in rows and columns, and those of a row have the same bands."""
    last = blocks[-1].area
    cols = sorted({block.area.col for block in blocks})
    rows = [top for block in blocks if block.area.col == cols[0] for top in block.band_tops]
    return [*rows, last.row_end], [*cols, last.col_end]


def _grouped(edges: Edges, *, most_pixels: float = inf, most: float = inf) -> Edges:
    """The edges of groups of neighbours: as many as are allowed, and as nearly square as they go.

    Args:
        edges: of what is grouped.
        most_pixels: that a group may hold, if it holds more than one.
        most: members of a group.
    """
    counts = [len(each) - 1 for each in edges]
    sides = [max(end - start for start, end in itertools.pairwise(each)) for each in edges]
    taken = [1, 1]

    def allowed(down: int, across: int) -> bool:
        pixels = down * sides[0] * across * sides[1]
        return down * across <= most and pixels <= most_pixels

    while True:
        first = 0 if taken[0] * sides[0] <= taken[1] * sides[1] else 1
        for along in (first, 1 - first):
            larger = [taken[0] + (along == 0), taken[1] + (along == 1)]
            if taken[along] < counts[along] and allowed(*larger):
                taken = larger
                break
        else:
            break
    rows, cols = (_thinned(each, size) for each, size in zip(edges, taken, strict=True))
    return rows, cols


def _thinned(edges: list[int], size: int) -> list[int]:
    """The edges of groups of at most so many, of nearly equal sizes."""
    count = len(edges) - 1
    groups = ceil(count / size)
    return [edges[count * group // groups] for group in range(groups + 1)]


def _windows(edges: Edges) -> list[Window]:
    rows, cols = edges
    return [
        Window(top, left, bottom - top, right - left)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(cols)
    ]
