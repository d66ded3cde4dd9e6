"""Where a lattice is cut into blocks: few windows run twice, no block is too large."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import ceil

MOST_FORWARDS = 1.10
"""Forwards a window that small blocks may cost."""


def cut_rows(
    rows: int, cols: int, across: int, reach: int, forwards: int
) -> tuple[int, float, int, int]:
    """How well a lattice is cut into `across` columns of blocks, and so many rows of them as help.

    Returns:
        Windows of a block beyond those wanted, forwards a window, blocks down and across: the least
        of these is best.
    """
    wide = ceil(cols / across) + (reach if across > 1 else 0)
    price_across = (cols + reach * (across - 1)) / cols
    high = max(1, forwards // wide - reach)
    wanted = 1 if rows * wide <= forwards else ceil(rows / high)
    left = MOST_FORWARDS / price_across  # forwards a window that cutting rows may take
    paid = rows if reach == 0 else 1 + int(rows * max(0.0, left - 1) / reach)
    down = min(wanted, paid, rows)
    price = price_across * (rows + reach * (down - 1)) / rows
    windows = wide * (ceil(rows / down) + (reach if down > 1 else 0))
    if price > MOST_FORWARDS:  # memory asks for so many columns; more of them only cost
        return rows * cols * 2, price, down, across
    return max(0, windows - forwards), price, down, across


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
