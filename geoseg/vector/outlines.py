"""Outlines of regions from signed corners.

At a point where four pixels meet, a region has the corner

    a | b        a - b - c + d     a, b, c, d: 1 where the pixel belongs to the region, else 0
    --+--
    c | d

    . | .     x | x     . | .     x | .
    --+-- 0   --+-- 0   --+-- +1  --+-- +2
    . | .     . | .     . | x     . | x

It is 0 where the outline passes straight or not at all, +1 or -1 where it turns, and +2 or -2 where
two pixels of the region meet at their tips alone. The corners determine the region, and they are
linear in it: the corners of a union of disjoint pieces are the sum of the pieces' corners. So
joining pieces is adding integers, and a vertex at a seam vanishes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.tiling.grouping import order_by
from geoseg.vector.components import Components


@dataclass(frozen=True, slots=True)
class Corners:
    """Corners of some regions, sorted by region, row, column; one of value ±2 is listed twice."""

    region: NDArray[np.int64]
    """Number of the region; every region has corners."""
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    positive: NDArray[np.bool_]
    """Whether the corner's value is above 0."""

    COLUMNS: ClassVar = 3
    """Of `packed`."""

    @property
    def packed(self) -> NDArray[np.int32]:
        """All but the regions, a column each."""
        return np.stack([self.row, self.col, self.positive]).astype(np.int32)

    @classmethod
    def summed(cls, region: NDArray[np.int64], packed: NDArray[np.int32]) -> Corners:
        """The sum of corners in any order."""
        row, col, positive = packed.astype(np.int64)
        return add_corners(region, row, col, positive > 0)

    def polygons(self) -> NDArray[np.object_]:
        """One valid polygon per region; see `outline`."""
        return outline(self)


def find_corners(components: Components) -> Corners:
    """The corners of all regions, in the raster's own pixel coordinates."""
    # With the four pixels of a point at p, p + 1, p + stride and p + stride + 1, its corner can
    # only differ from 0 where some label changes across and some label changes down.
    flat, stride = components.framed.ravel(), components.framed.shape[1]
    count = flat.size - stride - 1
    across = flat[1:] != flat[:-1]
    down = flat[stride:] != flat[:-stride]
    changes_across = across[:count] | across[stride : stride + count]
    changes_down = down[:count] | down[1 : count + 1]
    at = np.flatnonzero(changes_across & changes_down)
    four = [components.region_at(at + step) for step in (0, 1, stride, stride + 1)]
    # Half of them cancel: those of two neighbours of one region.
    left = [region >= 0 for region in four]
    for one, other in ((0, 1), (2, 3), (0, 2), (1, 3)):
        apart = (four[one] != four[other]) | ~left[one] | ~left[other]
        left[one], left[other] = left[one] & apart, left[other] & apart
    # What is left is in the order of points; two of one region at a point have one sign.
    kept = np.flatnonzero(np.stack(left, axis=1))
    region = np.stack(four, axis=1).ravel()[kept]
    order = order_by(region)
    point, quarter = np.divmod(kept[order], 4)
    row, col = np.divmod(at[point], stride)
    return Corners(region[order].astype(np.int64), row, col, (quarter == 0) | (quarter == 3))


def add_corners(
    region: NDArray[np.int64],
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    positive: NDArray[np.bool_],
) -> Corners:
    """The sum of corners of value ±1 in any order; those that cancel are gone."""
    if not region.size:
        return Corners(region, row, col, positive)
    row_0, col_0 = row.min(), col.min()
    row_bits, col_bits = _bits(row - row_0), _bits(col - col_0)
    # Region, row, column and sign packed into one integer per corner, from the highest bit to the
    # lowest: sorting it is several times faster than sorting by three keys.
    key = (((region << row_bits | (row - row_0)) << col_bits | (col - col_0)) << 1) | positive
    key.sort()
    place = key >> 1
    first = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    value = np.add.reduceat(np.where(key & 1, 1, -1), first)
    place = np.repeat(place[first], np.abs(value))
    positive = np.repeat(value > 0, np.abs(value))
    return Corners(
        region=place >> (row_bits + col_bits),
        row=(place >> col_bits & (1 << row_bits) - 1) + row_0,
        col=(place & (1 << col_bits) - 1) + col_0,
        positive=positive,
    )


def outline(corners: Corners) -> NDArray[np.object_]:
    """One valid polygon per region, in the order of the regions, with x = column and y = row.

    Shells run counter-clockwise as seen on a screen (rows go down), holes clockwise; each ring
    starts at its topmost edge. A region that meets itself at a tip gets a hole that touches there.
    """
    if not corners.region.size:
        return np.zeros(0, object)
    # An outline runs along rows and columns by turns. Sorted along a row, a region's corners are
    # the ends of its edges on that row, two by two; likewise along a column. Following the row's
    # edge to its other end, then the column's edge from there, and so on, goes round a ring:
    #
    #     0 ----- 1        Edges along rows: 0-1, 2-3, 4-5. Along columns: 0-4, 1-2, 3-5.
    #     |       |        The ring: 1 0 | 4 5 | 3 2 | back to 1.
    #     |   3 - 2
    #     |   |
    #     4 - 5
    edges = corners.region.size // 2
    # Edge k joins the corners 2k and 2k + 1 of one row. The region lies below it where the left
    # corner is positive.
    below = corners.positive[0::2]
    # With the region on its left, an edge runs west above the region and east below it.
    head = 2 * np.arange(edges) + ~below
    tail = 2 * np.arange(edges) + below
    path, first = cycles(_column_mates(corners)[head] // 2)

    ring_sizes = 2 * np.diff(first, append=path.size) + 1
    ring_stops = np.cumsum(ring_sizes)
    closing = np.zeros(path.size * 2 + first.size, np.bool_)
    closing[ring_stops - 1] = True
    vertices = np.empty(closing.size, np.int64)
    vertices[~closing] = np.column_stack([tail[path], head[path]]).ravel()
    vertices[closing] = tail[path[first]]

    coordinates = np.column_stack([corners.col[vertices], corners.row[vertices]]).astype(np.float64)
    # The topmost edge of all belongs to the shell, so each region's first ring is its shell and the
    # rest are holes.
    ring_region = corners.region[2 * path[first]]
    shells = np.flatnonzero(np.diff(ring_region, prepend=-1))
    offsets = (np.append(0, ring_stops), np.append(shells, first.size))
    polygons: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, coordinates, offsets
    )
    return polygons


def _column_mates(corners: Corners) -> NDArray[np.int64]:
    """The other end of each corner's edge along its column."""
    # A corner of value ±2 is listed twice: first as an end of the edge to its left, then of the one
    # to its right. Which of them continues up the column, which one down, decides where rings part:
    #
    #     +2:  x |          the right edge turns up round b,       -2:    | x    the left edge turns
    #         ---+---       the left one down round c                  ---+---   up round a
    #            | x                                                    x |
    #
    # Along the column the upper edge comes first.
    listed = np.arange(corners.region.size)
    same = (each[1:] == each[:-1] for each in (corners.region, corners.row, corners.col))
    right_first = np.flatnonzero(np.logical_and.reduce([*same, corners.positive[1:]]))
    listed[right_first], listed[right_first + 1] = right_first + 1, right_first
    # By region, then column, then row: rows rise already.
    by_col = order_by(corners.col)
    order = listed[by_col[order_by(corners.region[by_col])]]
    mates = np.empty_like(order)
    mates[order[0::2]], mates[order[1::2]] = order[1::2], order[0::2]
    return mates


def cycles(following: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cycles of a permutation, one after the other, and where each begins: at its least member.

    A plain loop over a list: chasing pointers is the one thing that numpy does not do faster.
    """
    successor = following.tolist()
    path: list[int] = []
    first: list[int] = []
    visit = path.append
    for start, after in enumerate(successor):
        if after == -1:  # visited
            continue
        first.append(len(path))
        at = start
        while after >= 0:
            visit(at)
            successor[at] = -1
            at, after = after, successor[after]
    return np.array(path, np.int64), np.array(first, np.int64)


def _bits(values: NDArray[np.int64]) -> int:
    return int(values.max()).bit_length()
