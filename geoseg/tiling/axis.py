"""A lattice of windows along one axis: where they start, what each finishes, where to cut it."""

from __future__ import annotations

import itertools
from math import ceil

from geoseg.tiling.cells import Cells


def starts_of(length: int, window: int, stride: int, multiple: int) -> tuple[int, ...]:
    """Where windows start: every `stride` pixels, the last one moved inward.

    Args:
        length: of the axis, pixels.
        window: length of a window.
        stride: from one window to the next.
        multiple: of which all are multiples; the last then may reach beyond the axis.
    """
    if length <= window:
        return (0,)
    count = ceil((length - window) / stride) + 1
    last = ceil((length - window) / multiple) * multiple
    return tuple(min(index * stride, last) for index in range(count))


def owned_edges(starts: tuple[int, ...], length: int, window: int) -> tuple[int, ...]:
    """Window i owns the pixels from edge i to before the next: those nearest to its centre.

    The line between two windows lies midway between their centres; a pixel whose centre lies on it
    goes to the lower index.
    """
    lines = [(first + second + window + 1) // 2 for first, second in itertools.pairwise(starts)]
    return (0, *lines, length)


def seams_of(
    starts: tuple[int, ...], edges: tuple[int, ...], window: int, reach: int, cells: Cells | None
) -> tuple[int, ...]:
    """The edges at which an axis is best cut: the windows that both sides run see fewest cells.

    Args:
        starts: of the windows.
        edges: between which each finishes pixels.
        window: length of a window.
        reach: windows before a cut that what lies behind it needs too.
        cells: that windows see; None: all edges are alike.
    """
    if cells is None or len(edges) < 3:
        return edges
    inner = range(1, len(edges) - 1)
    seen = [
        len(cells.covering(starts[max(0, at - reach)], starts[at - 1] + window)) for at in inner
    ]
    best = [edges[at] for at, count in zip(inner, seen, strict=True) if count == min(seen)]
    return (edges[0], *best, edges[-1])
