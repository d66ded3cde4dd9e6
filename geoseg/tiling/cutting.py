"""Where a lattice is cut into blocks: few windows run twice, no block is too large."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from geoseg.tiling.cells import Cells
from geoseg.tiling.window import Window

ACCUMULATOR_BYTES = 128 * 2**20
"""What a block's accumulator may take, unless that makes it narrower than `NARROWEST_STRIP`."""
SHARED_BYTES = 192 * 2**20
"""What it and the maps of cells may take likewise."""
NARROWEST_STRIP = 4096
"""Pixels. Narrower strips run too many windows twice at their seams."""
MOST_FORWARDS = 1.10
"""Forwards a window that small blocks may cost."""
MOST_ENCODINGS = 1.25
"""Likewise of cells: blocks share more of them, and more of the work is theirs."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """What blocks are cut from: windows, or the cells below them."""

    rows: int
    cols: int
    reach: int
    """Rows, or columns, that the blocks on both sides of a seam run."""
    most: float = MOST_FORWARDS
    """Times that all may be run."""

    def price(self, down: int, across: int) -> float:
        """Times that all are run where so many blocks lie below and beside each other."""
        return (1 + self.reach * (down - 1) / self.rows) * (
            1 + self.reach * (across - 1) / self.cols
        )

    def paid(self, across: int) -> int:
        """Blocks below each other that are not too dear, of so many beside each other."""
        if self.reach == 0:
            return self.rows
        left = self.most / self.price(1, across)  # times that cutting rows may cost
        return 1 + int(self.rows * max(0.0, left - 1) / self.reach)


def fitting(sums: int, maps: float) -> int:
    """Pixels across that keep a block small, unless it would cost many seams.

    Args:
        sums: bytes of a column of pixels in the accumulator.
        maps: in the maps that windows share; 0: none.
    """
    columns = ACCUMULATOR_BYTES // sums
    if maps:
        columns = min(columns, int(SHARED_BYTES / (sums + maps)))
    return max(NARROWEST_STRIP, columns)


def cells_in(cells: Cells | None, area: Window, both: int) -> Lattice | None:
    """The cells below an area.

    Args:
        cells: in what the raster is encoded; None: in none.
        area: of the raster.
        both: pixels that the windows on both sides of a cut see; at the best, few cells hold them.
    """
    if cells is None:
        return None
    rows, cols = (ceil(side / cells.size) for side in (area.height, area.width))
    return Lattice(rows, cols, ceil(both / cells.size), MOST_ENCODINGS)


def best_cut(windows: Lattice, cells: Lattice | None, least: int, forwards: int) -> tuple[int, int]:
    """Into how many rows and columns of blocks lattices are best cut.

    Args:
        windows: what is run.
        cells: what they see, where they share it.
        least: columns of blocks at least.
        forwards: windows that a block should take at most.
    """
    counts = range(least, max(least, windows.cols) + 1)
    _, _, across, down = min(_cut_rows(windows, cells, count, forwards) for count in counts)
    return down, across


def _cut_rows(
    windows: Lattice, cells: Lattice | None, across: int, forwards: int
) -> tuple[int, float, int, int]:
    """How well lattices are cut into `across` columns of blocks, and so many rows as help.

    Returns:
        Windows of a block beyond those wanted, times that windows are run, blocks across and down:
        the least of these is best. A block has a part for each of its lattice rows, so that wide
        blocks make fewer parts.
    """
    rows, cols, reach = windows.rows, windows.cols, windows.reach
    wide = ceil(cols / across) + (reach if across > 1 else 0)
    high = max(1, forwards // wide - reach)
    wanted = 1 if rows * wide <= forwards else ceil(rows / high)
    lattices = [windows] if cells is None else [windows, cells]
    down = min(wanted, rows, *(each.paid(across) for each in lattices))
    price = windows.price(down, across)
    # Memory may ask for so many columns; more of them only cost.
    if any(each.price(down, across) > each.most for each in lattices):
        return rows * cols * 2, price, across, down
    left = wide * (ceil(rows / down) + (reach if down > 1 else 0))
    return max(0, left - forwards), price, across, down


def between(edges: Sequence[int], first: int, end: int) -> range:
    """The intervals from one edge to the next that share something with ``first`` to ``end``."""
    return range(bisect_right(edges, first) - 1, bisect_left(edges, end))


def divided(start: int, length: int, parts: int) -> list[int]:
    """The ends of nearly equal parts of a line."""
    return [start + round(length * part / parts) for part in range(parts + 1)]


def snapped(lines: list[int], edges: tuple[int, ...]) -> list[int]:
    """Inner block borders moved to the nearest ownership lines, doubled ones dropped."""
    first, *inner, last = lines
    moved = {_nearest(line, edges) for line in inner}
    return [first, *sorted(line for line in moved if first < line < last), last]


def _nearest(line: int, edges: tuple[int, ...]) -> int:
    """The edge that is nearest to a line, of two the lower one."""
    above = bisect_left(edges, line)
    return min(edges[max(0, above - 1) : above + 1], key=lambda edge: abs(edge - line))
