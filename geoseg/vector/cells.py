"""Cells of a raster, on a fixed lattice: the arcs in each are simplified by themselves.

So the same polygons come out whatever blocks, parts and areas there were. A border that crosses
from one cell to the next has a vertex there, which stays; one between two cells stays as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.vector.arcs import find_arcs
from geoseg.vector.components import find_components
from geoseg.vector.edges import Edges
from geoseg.vector.part_regions import PartRegions, part_of
from geoseg.vector.simplify import Metric, lines_of, simplify
from geoseg.vector.smooth import find_free

CELL = 4096
"""Side of a cell, pixels."""


def simplified_part(
    framed: NDArray[np.uint8],
    confidence: NDArray[np.uint8] | None,
    row: int,
    col: int,
    metric: Metric | None,
    *,
    smooth: bool = False,
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
        metric: what is within the tolerance; None: borders stay as they are.
        smooth: whether corners are cut off.

    Raises:
        VectorError: an array is not 2-d uint8, or shapes do not fit.
    """
    framed = np.where(framed == UNCERTAIN, NODATA, framed)
    components = find_components(np.ascontiguousarray(framed[1:-1, 1:-1]), confidence)
    arcs = find_arcs(framed, components)
    first, last = lines_of(arcs) if metric is None else simplify(arcs, metric)
    begin, end = ((arcs.row[each] + row, arcs.col[each] + col) for each in (first, last))
    number = arcs.number[first]
    free = np.zeros(arcs.row.size, np.bool_)
    if smooth:
        free = find_free(arcs, np.stack([first, last]))
    forth = np.stack([*begin, *end, free[first]])
    back = np.stack([*end, *begin, free[last]])
    region = np.concatenate([arcs.left[number], arcs.right[number]])
    packed = np.concatenate([forth, back], axis=1)
    inside = region >= 0
    edges = Edges.summed(region[inside], packed[:, inside].astype(np.int32))
    return part_of(components, edges, row, col)
