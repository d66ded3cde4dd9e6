"""Cells of a raster, on a fixed lattice: the arcs in each are simplified by themselves.

So the same polygons come out whatever blocks, parts and areas there were. A border that crosses
from one cell to the next has a vertex there, which stays; one between two cells stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.vector.arcs import UNIT, find_arcs
from geoseg.vector.components import Components, find_components
from geoseg.vector.edges import Edges, both_ways
from geoseg.vector.lines import find_lines
from geoseg.vector.part_regions import PartRegions, part_of
from geoseg.vector.regularize import RightAngles, regularize
from geoseg.vector.simplify import Metric, lines_of, simplify
from geoseg.vector.smooth import find_free

CELL = 4096
"""Side of a cell, pixels."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the borders in a cell are drawn; by default as they are."""

    metric: Metric | None = None
    """What is within the tolerance of `simplify`; None: nothing is."""
    smooth: bool = False
    """Whether corners are cut off."""
    angles: RightAngles | None = None
    """Which regions get right angles; their corners are not cut off."""


def simplified_part(
    framed: NDArray[np.uint8],
    confidence: NDArray[np.uint8] | None,
    row: int,
    col: int,
    drawing: Drawing,
) -> PartRegions:
    """Polygonize one cell of a raster, for `join_parts`.

    Regions side by side have the same vertices on the border between them, also where a third one
    ends: what polygons are after `simplify`, and before it those of `polygonize_part` are not.

    Args:
        framed: ``(height + 2, width + 2)`` class ids of the cell and of the pixels around it, 255
            beyond the raster; 254 and 255 make no polygon.
        confidence: ``(height, width)`` uint8 of the cell, or None.
        row: the cell's first row in the raster.
        col: its first column.
        drawing: how borders are drawn.

    Raises:
        VectorError: an array is not 2-d uint8, or shapes do not fit.
    """
    framed = np.where(framed == UNCERTAIN, NODATA, framed)
    components = find_components(np.ascontiguousarray(framed[1:-1, 1:-1]), confidence)
    # What the edges are made from is given up before they are sorted.
    edges = Edges.summed(*_drawn(framed, components, row, col, drawing))
    return part_of(components, edges, row, col)


def _drawn(
    framed: NDArray[np.uint8], components: Components, row: int, col: int, drawing: Drawing
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The edges of all regions of a cell, in the whole raster's coordinates, from `both_ways`."""
    lines = find_lines(framed, components)
    if drawing.metric is None:
        points = [UNIT * (lines.vertices.row + row), UNIT * (lines.vertices.col + col)]
        ends = np.stack([lines.start, lines.end])
        return both_ways(points, ends, lines.left, lines.right)
    height, width = (side - 2 for side in framed.shape)
    arcs = find_arcs(lines)
    arcs = arcs.drawn(simplify(arcs, drawing.metric, height, width))
    squared = np.zeros(arcs.left.size, np.bool_)
    if drawing.angles is not None:
        size = height * UNIT, width * UNIT
        arcs, squared = regularize(arcs, components.class_id, *size, drawing.angles)
    ends = lines_of(arcs)
    free = find_free(arcs, ends, ~squared) if drawing.smooth else None
    points = [arcs.row + UNIT * row, arcs.col + UNIT * col]
    number = arcs.number[ends[0]]
    return both_ways(points, ends, arcs.left[number], arcs.right[number], free)
