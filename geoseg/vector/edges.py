"""Borders of regions as directed edges, from one point to another in any direction.

As corners do for outlines along the grid, edges determine their regions, and those of a union of
disjoint pieces are the edges of the pieces together: what lies between two pieces of one region is
no border, so it has no edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.arcs import UNIT
from geoseg.vector.outlines import cycles
from geoseg.vector.smooth import rounded

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of some regions, sorted by region and by row and column of where they begin."""

    region: Ints
    """Number of the region, which lies to the left as seen on a screen."""
    row: NDArray[np.int32]
    """Where each edge begins, in units of 1 / `UNIT` pixel, as all the others."""
    col: NDArray[np.int32]
    end_row: NDArray[np.int32]
    end_col: NDArray[np.int32]
    free: NDArray[np.bool_]
    """Whether the corner where it begins is to be cut off."""

    COLUMNS: ClassVar = 5
    """Of `packed`."""

    @property
    def packed(self) -> NDArray[np.int32]:
        """All but the regions, a column each."""
        columns = [self.row, self.col, self.end_row, self.end_col, self.free]
        return np.stack(columns).astype(np.int32)

    @classmethod
    def summed(cls, region: Ints, packed: NDArray[np.int32]) -> Edges:
        """The edges of the regions, given in any order."""
        order = np.lexsort((packed[1], packed[0], region))
        row, col, end_row, end_col, free = packed[:, order]
        return cls(region[order], row, col, end_row, end_col, free > 0)

    def polygons(self) -> NDArray[np.object_]:
        """One valid polygon per region, in the order of the regions, x = column, y = row.

        Shells run counter-clockwise as seen on a screen (rows go down), holes clockwise; each ring
        begins at its topmost point, of several at the leftmost. A region that meets itself at a
        point gets a hole that touches there.
        """
        if not self.region.size:
            return np.zeros(0, object)
        path, first = cycles(self._following())
        sizes = np.diff(first, append=path.size)
        x, y = self.col[path].astype(np.int64), self.row[path].astype(np.int64)
        # Twice the area; rows go down, so it is negative where the ring is counter-clockwise.
        area = np.add.reduceat(x * self.end_row[path] - self.end_col[path] * y, first)
        ring_region = self.region[path[first]]
        order = np.lexsort((np.arange(first.size), area > 0, ring_region))
        begins = np.concatenate([[0], np.cumsum(sizes[order])])
        rings = np.repeat(order, sizes[order])
        vertices = path[first[rings] + np.arange(rings.size) - np.repeat(begins[:-1], sizes[order])]
        coordinates = np.column_stack([self.col[vertices], self.row[vertices]]) / UNIT
        if self.free.any():
            coordinates, begins = rounded(coordinates, self.free[vertices], begins)
        shells = np.flatnonzero(np.diff(ring_region[order], prepend=-1))
        return _polygons(coordinates, begins, np.append(shells, first.size))

    def _following(self) -> Ints:
        """The edge after each: one of its region that begins where it ends.

        Where a region meets itself, two begin. What is not of the region lies to the right, between
        the edge that comes and the one that follows: the first one on the way round, from where the
        edge came from, over its right.
        """
        by_end = np.lexsort((self.end_col, self.end_row, self.region))
        following = np.empty(self.region.size, np.int64)
        following[by_end] = np.arange(by_end.size)
        begins = (self.region, self.row, self.col)
        same = np.logical_and.reduce([each[1:] == each[:-1] for each in begins])
        twice = np.flatnonzero(same)
        for one, other in ((twice, twice + 1), (twice + 1, twice)):
            edge = by_end[one]  # one of the two that end there
            back = self._direction(edge) + np.pi
            turns = [self._direction(each) - back for each in (one, other)]
            nearer = turns[0] % (2 * np.pi) < turns[1] % (2 * np.pi)
            following[edge] = np.where(nearer, one, other)
        return following

    def _direction(self, edge: Ints) -> NDArray[np.float64]:
        """The angle in which edges leave, counter-clockwise as seen on a screen."""
        up, right = self.row[edge] - self.end_row[edge], self.end_col[edge] - self.col[edge]
        angle: NDArray[np.float64] = np.arctan2(up, right)
        return angle


def _polygons(coordinates: NDArray[np.float64], begins: Ints, shells: Ints) -> NDArray[np.object_]:
    """Polygons of rings that are not closed yet."""
    sizes = np.diff(begins) + 1
    closed = np.concatenate([[0], np.cumsum(sizes)])
    place = np.arange(closed[-1]) - np.repeat(closed[:-1], sizes)
    ring = np.repeat(np.arange(sizes.size), sizes)
    vertices = begins[ring] + np.where(place == sizes[ring] - 1, 0, place)
    polygons: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, coordinates[vertices], (closed, shells)
    )
    return polygons


def both_ways(
    points: Sequence[Ints],
    ends: Ints,
    left: Ints,
    right: Ints,
    free: NDArray[np.bool_] | None = None,
) -> tuple[Ints, NDArray[np.int32]]:
    """The edges of the regions on both sides of some lines, for `Edges.summed`.

    Args:
        points: rows and columns of points.
        ends: ``(2, lines)`` the points at which each line begins and ends.
        left: region to the left of each; -1: none, which has no edges.
        right: likewise.
        free: whether the corner at each point is to be cut off; None: none is.
    """
    region = np.concatenate([left, right])
    inside = region >= 0
    begin, end = (np.concatenate(each)[inside] for each in (ends, ends[::-1]))
    row, col = (each.astype(np.int32) for each in points)
    is_free = np.zeros(row.size, np.int32) if free is None else free.astype(np.int32)
    packed = np.stack([row[begin], col[begin], row[end], col[end], is_free[begin]])
    return region[inside], packed
