"""What the missing bands of a block still take: windows, and cells below them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from geoseg.tiling import Block, Window


def cells_left(block: Block, missing_rows: Sequence[int]) -> tuple[int, int]:
    """Cells under the windows that touch the missing bands, and the pixels that they see."""
    grid = block.grid
    if grid.cells is None:
        return 0, 0
    rows: set[int] = set()
    for first, last in _runs(missing_rows):
        needed = [block.rows_for(block.band(row)) for row in (first, last)]
        top, bottom = (grid.window_at(row, 0) for row in (needed[0][0], needed[1][-1]))
        rows.update(grid.cells.covering(top.row, bottom.row_end))
    left, right = (grid.window_at(0, block.lattice_cols[end]) for end in (0, -1))
    cols = grid.cells.covering(left.col, right.col_end)
    down = [grid.cells.seen(row, grid.height) for row in rows]
    across = [grid.cells.seen(col, grid.width) for col in cols]
    pixels = sum(end - first for first, end in down) * sum(end - first for first, end in across)
    return len(rows) * len(cols), pixels


def count_forwards(block: Block, missing_rows: Sequence[int]) -> int:
    """Windows that touch the missing bands: a band needs more lattice rows than its own."""
    lattice_rows = counted = 0
    for first, last in _runs(missing_rows):
        top, bottom = block.band(first), block.band(last)
        height = bottom.row_end - top.row
        needed = block.rows_for(Window(top.row, top.col, height, top.width))
        lattice_rows += needed.stop - max(needed.start, counted)
        counted = needed.stop
    return lattice_rows * len(block.lattice_cols)


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of successive numbers; all missing rows are often one."""
    if rows and rows[-1] - rows[0] == len(rows) - 1:
        yield rows[0], rows[-1]
        return
    for _, run in itertools.groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
        numbers = [row for _, row in run]
        yield numbers[0], numbers[-1]
