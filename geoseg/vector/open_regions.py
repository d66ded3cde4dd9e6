"""Regions that may continue beyond the parts of a raster that have been seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.outlines import Corners, add_corners, outline
from geoseg.vector.polygonize import Regions

_CORNERS = 500_000
"""Corners that are outlined at once, about 70 MB, unless a region has more."""


@dataclass(slots=True)
class OpenRegion:
    """A region that may continue beyond the parts seen so far."""

    class_id: int
    pixels: int
    confidence_sum: int | None
    waiting: int
    """Pixel sides on seams whose other side has not been seen."""
    pieces: list[int]
    """The border regions of parts that it consists of, numbered over all parts."""
    corners: list[NDArray[np.int32]]
    """``(3, n)`` row, column and sign (1 or 0) of the corners of each piece."""

    def absorb(self, other: OpenRegion) -> None:
        """Take in another region that turned out to be the same."""
        self.pixels += other.pixels
        self.waiting += other.waiting
        self.pieces += other.pieces
        self.corners += other.corners
        if self.confidence_sum is not None and other.confidence_sum is not None:
            self.confidence_sum += other.confidence_sum


def in_batches(regions: list[OpenRegion]) -> Iterator[list[OpenRegion]]:
    """A few regions after the other, so that few are outlined at once."""
    batch: list[OpenRegion] = []
    corners = 0
    for region in regions:
        size = sum(each.shape[1] for each in region.corners)
        if batch and corners + size > _CORNERS:
            yield batch
            batch, corners = [], 0
        batch.append(region)
        corners += size
    if batch:
        yield batch


def closed_regions(closed: list[OpenRegion]) -> Regions:
    """Closed regions with their outlines."""
    # Where two pieces meet, the corners of both at the seam cancel: the seam leaves no vertex.
    return Regions(outline(corners_of(closed)), *attributes_of(closed))


def attributes_of(
    regions: list[OpenRegion],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64] | None]:
    """Class, pixels and sum of the confidence of each."""
    sums = [region.confidence_sum for region in regions]
    return (
        np.array([region.class_id for region in regions], np.uint8),
        np.array([region.pixels for region in regions], np.int64),
        None if None in sums else np.array(sums, np.int64),
    )


def corners_of(regions: list[OpenRegion]) -> Corners:
    """The sums of the corners of their pieces."""
    none = np.zeros((3, 0), np.int32)
    corners = [np.concatenate(region.corners, axis=1) for region in regions]
    row, col, positive = np.concatenate([none, *corners], axis=1).astype(np.int64)
    number = np.repeat(np.arange(len(regions)), [each.shape[1] for each in corners])
    return add_corners(number, row, col, positive > 0)
