"""Regions in one order, however their raster was cut into parts.

rows seen whole   | a a . b |     A region that ends above the last of these rows has met all of
_ front _ _ _ _ _ | a . c c |     its neighbours: it is closed. So all that end there are known,
seen in part      | d d |         and can go on in the order of their last pixels: here a, after
whatever ended before it. b, c and d wait.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.tiling import Window
from geoseg.vector.components import COLUMN_BITS
from geoseg.vector.part_regions import PartRegions
from geoseg.vector.polygonize import Regions

_CHUNK = 1024
"""Regions that are handed on at a time."""


class OrderedRegions:
    """Closed regions of an area that wait for those that end before them.

    Memory holds the regions that end in the rows of one row of parts.

    Args:
        area: of the raster.
        width: columns of the raster.
    """

    def __init__(self, area: Window, width: int) -> None:
        self._area, self._width = area, width
        self._seen = np.zeros(area.height, np.int64)
        """Pixels of each row of the area that have been seen."""
        self._front = 0
        """Rows that have been seen whole, from the area's top."""
        self._held: list[Regions] = []
        self._ends: list[NDArray[np.int64]] = []

    def add(self, part: PartRegions, closed: list[Regions]) -> Iterator[Regions]:
        """Take the regions that a part has closed; those whose turn it is."""
        for regions in closed:
            if len(regions):
                self._held.append(regions)
                self._ends.append(last_corners(regions, self._width))
        area = self._area
        top = part.row - area.row
        self._seen[top : top + part.height] += part.width
        front = self._front
        while self._front < area.height and self._seen[self._front] >= area.width:
            self._front += 1
        # At the area's bottom: what goes on below it is not closed.
        rows = area.row + self._front + (self._front == area.height)
        return self._take(rows * (self._width + 1)) if self._front > front else iter(())

    def _take(self, limit: int) -> Iterator[Regions]:
        """Those held that end before a corner, in order."""
        if not self._held:
            return
        held, ends = _concatenated(self._held), np.concatenate(self._ends)
        due = np.flatnonzero(ends < limit)
        left = np.flatnonzero(ends >= limit)
        self._held, self._ends = [_chosen(held, left)], [ends[left]]
        due = due[np.argsort(ends[due])]
        for first in range(0, due.size, _CHUNK):
            yield _chosen(held, due[first : first + _CHUNK])


def last_corners(regions: Regions, width: int) -> NDArray[np.int64]:
    """The lower right corner of each region's last pixel, as its number among all corners.

    Args:
        regions: of a raster.
        width: columns of the raster.
    """
    if regions.last is not None:
        row, col = regions.last >> COLUMN_BITS, regions.last & (1 << COLUMN_BITS) - 1
        return (row + 1) * (width + 1) + col + 1
    points, region = shapely.get_coordinates(regions.geometry, return_index=True)
    numbers = points[:, 1].astype(np.int64) * (width + 1) + points[:, 0].astype(np.int64)
    starts = np.searchsorted(region, np.arange(len(regions)))
    ends: NDArray[np.int64] = np.maximum.reduceat(numbers, starts)
    return ends


def _concatenated(several: list[Regions]) -> Regions:
    sums, last = (
        [values for each in several if (values := getattr(each, name)) is not None]
        for name in ("confidence_sum", "last")
    )
    return Regions(
        np.concatenate([each.geometry for each in several]),
        np.concatenate([each.class_id for each in several]),
        np.concatenate([each.pixels for each in several]),
        np.concatenate(sums) if sums else None,
        np.concatenate(last) if last else None,
    )


def _chosen(regions: Regions, index: NDArray[np.int64]) -> Regions:
    sums, last = (
        None if values is None else values[index]
        for values in (regions.confidence_sum, regions.last)
    )
    return Regions(
        regions.geometry[index], regions.class_id[index], regions.pixels[index], sums, last
    )
