"""The regions of one part of a raster: complete ones inside it, pieces of regions at its border.

+-----------+
| w w   p p     A region that touches no side of the part is whole (w) and is outlined here. One
| w     p p     that touches a side may continue in the neighbour: a piece (p), kept as borders
| p p p p p     until `join_parts` has seen both sides.
+--         -
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import VectorError
from geoseg.vector.components import Components, find_components
from geoseg.vector.edges import Edges
from geoseg.vector.outlines import Corners, find_corners
from geoseg.vector.polygonize import Regions

_AT_ONCE = 2**18
"""Corners, or edges, that are outlined at once, some 40 MB, unless a region has more."""

Borders = Corners | Edges
"""Of regions drawn on the grid, and of those whose arcs were simplified."""


class Side(NamedTuple):
    """The pixels along one side of a part, as the neighbour across it needs them."""

    piece: NDArray[np.int64]
    """Piece that holds each pixel; -1 where there is none (nodata)."""
    class_id: NDArray[np.uint8]
    """Class of each pixel; 255 where there is none."""

    def cut(self, start: int, end: int) -> Side:
        """The pixels from `start` up to `end`."""
        return Side(self.piece[start:end], self.class_id[start:end])


@dataclass(frozen=True, slots=True)
class PartRegions:
    """The regions of one part of a raster. Holds arrays alone, so it travels between processes."""

    row: int
    col: int
    height: int
    width: int
    whole: Regions
    """Regions that touch no side of the part."""
    class_id: NDArray[np.uint8]
    """Class of each piece: a region that touches a side, and may continue beyond it."""
    pixels: NDArray[np.int64]
    confidence_sum: NDArray[np.int64] | None
    last: NDArray[np.int64]
    """Of each piece, the number of its last pixel so far; see `geoseg.vector.components`."""
    borders: Borders
    """Of the pieces, in the whole raster's pixel coordinates."""
    top: Side
    bottom: Side
    left: Side
    right: Side

    def __post_init__(self) -> None:
        if self.row < 0 or self.col < 0 or self.height < 1 or self.width < 1:
            raise VectorError(
                f"a part of {self.height} x {self.width} pixels at row {self.row}, "
                f"column {self.col}; a part holds pixels and lies inside its raster"
            )


def polygonize_part(
    labels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None, row: int, col: int
) -> PartRegions:
    """Polygonize one part of a raster, for `join_parts`.

    Args:
        labels: ``(height, width)`` class ids of the part; 254 and 255 make no polygon.
        confidence: uint8 of the same shape, or None.
        row: the part's first row in the raster.
        col: its first column.

    Raises:
        VectorError: an array is not 2-d uint8, their shapes differ, or the part is empty.
    """
    components = find_components(labels, confidence)
    corners = find_corners(components)
    corners = replace(corners, row=corners.row + row, col=corners.col + col)
    return part_of(components, corners, row, col)


def part_of(components: Components, borders: Borders, row: int, col: int) -> PartRegions:
    """One part of a raster from its regions and their borders.

    Args:
        components: of the part.
        borders: of all regions, in the whole raster's pixel coordinates.
        row: the part's first row in the raster.
        col: its first column.
    """
    height, width = (side - 2 for side in components.framed.shape)
    # The sides inside the frame of nodata: top, bottom, left, right.
    inside = slice(1, -1)
    places = ((1, inside), (-2, inside), (inside, 1), (inside, -2))
    lines = [components.line(*place) for place in places]
    is_piece = np.zeros(components.class_id.size, np.bool_)
    for regions, _ in lines:
        is_piece[regions[regions >= 0]] = True
    # The piece of each region that is one; the last entry is that of region -1 (nodata).
    piece = np.append(np.cumsum(is_piece) - 1, -1)
    last = components.last_pixels(row, col)
    sums = components.confidence_sum

    def attributes(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "class_id": components.class_id[chosen],
            "pixels": components.pixels[chosen],
            "confidence_sum": None if sums is None else sums[chosen],
            "last": last[chosen],
        }

    of_piece = is_piece[borders.region]
    pieces = _chosen(borders, of_piece)
    outlines = _polygons(_chosen(borders, ~of_piece))
    whole = Regions(outlines, **attributes(~is_piece))
    top, bottom, left, right = (Side(piece[regions], class_id) for regions, class_id in lines)
    return PartRegions(
        row=row,
        col=col,
        height=height,
        width=width,
        whole=whole,
        **attributes(is_piece),
        borders=replace(pieces, region=piece[pieces.region]),
        top=top,
        bottom=bottom,
        left=left,
        right=right,
    )


def _polygons(borders: Borders) -> NDArray[np.object_]:
    """The polygons of all regions, outlined some at a time."""
    starts = np.append(np.flatnonzero(np.diff(borders.region, prepend=-1)), borders.region.size)
    wanted = np.arange(0, borders.region.size, _AT_ONCE)
    cuts = np.unique([*starts[np.searchsorted(starts, wanted)], borders.region.size])
    polygons = [_chosen(borders, slice(*each)).polygons() for each in itertools.pairwise(cuts)]
    return np.concatenate([np.zeros(0, object), *polygons])


def _chosen(borders: Borders, chosen: NDArray[np.bool_] | slice) -> Borders:
    return replace(
        borders, **{each.name: getattr(borders, each.name)[chosen] for each in fields(borders)}
    )
