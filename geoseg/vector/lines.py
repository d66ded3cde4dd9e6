"""The borders of regions as straight lines along rows and columns.

a a | b b       A vertex is a grid point where a border turns, or where borders meet. Where three
a a o---+       or more meet, and on the sides of the cell, it is a node (o): it stays where it is,
a a | c c       whatever becomes of the border. A line leads from a vertex to the next one of its
----o---+       row or column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA
from geoseg.vector.components import Components

Ints = NDArray[np.int64]

_ROWS = 128
"""That are looked at at a time: as many as stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class Vertices:
    """The vertices of a cell, row by row."""

    row: Ints
    col: Ints
    right: NDArray[np.bool_]
    """Whether a border leaves to the right."""
    below: NDArray[np.bool_]
    is_node: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a cell: first those to the right, then those down."""

    vertices: Vertices
    start: Ints
    """Vertex where each line begins: its left or upper end."""
    end: Ints
    rightward: int
    """How many lead to the right."""
    left: Ints
    """Region to the left of each line, seen on a screen; -1 where there is none in this cell."""
    right: Ints
    fixed: NDArray[np.bool_]
    """Of each line: it must not be moved, since there is no data on one side."""


def find_lines(framed: NDArray[np.uint8], components: Components) -> Lines:
    """The lines of a cell of a raster.

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
    start = np.concatenate([along, order[down]])
    end = np.concatenate([along + 1, order[down + 1]])

    # Pixels at both sides of a line: of one to the right, above and below; of one down, right and
    # left.
    stride = width + 2
    corner = row[start] * stride + col[start]
    is_down = np.arange(start.size) >= along.size
    left = corner + np.where(is_down, stride + 1, 1)
    right = corner + np.where(is_down, stride, stride + 1)
    fixed = (framed.ravel()[left] == NODATA) | (framed.ravel()[right] == NODATA)
    one, other = (components.region_at(each).astype(np.int64) for each in (left, right))
    return Lines(vertices, start, end, along.size, one, other, fixed)


def _vertices(framed: NDArray[np.uint8]) -> Vertices:
    """The vertices of a cell, found in some rows at a time."""
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
    return Vertices(row, col, right, below, on_side | (meeting > 2))
