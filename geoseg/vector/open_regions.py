"""Regions that may continue beyond the parts of a raster that have been seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.part_regions import Borders
from geoseg.vector.polygonize import Regions

_CORNERS = 500_000
"""Corners, or edges, that are outlined at once, about 70 MB, unless a region has more."""


@dataclass(slots=True)
class OpenRegion:
    """A region that may continue beyond the parts seen so far."""

    class_id: int
    pixels: int
    confidence_sum: int | None
    last: int
    """Number of its last pixel so far."""
    waiting: int
    """Pixel sides on seams whose other side has not been seen."""
    pieces: list[int]
    """The border regions of parts that it consists of, numbered over all parts."""
    borders: list[NDArray[np.int32]]
    """Of each piece, packed as its kind of borders does it."""

    def absorb(self, other: OpenRegion) -> None:
        """Take in another region that turned out to be the same."""
        self.pixels += other.pixels
        self.waiting += other.waiting
        self.pieces += other.pieces
        self.borders += other.borders
        self.last = max(self.last, other.last)
        if self.confidence_sum is not None and other.confidence_sum is not None:
            self.confidence_sum += other.confidence_sum


def in_batches(regions: list[OpenRegion]) -> Iterator[list[OpenRegion]]:
    """A few regions after the other, so that few are outlined at once."""
    batch: list[OpenRegion] = []
    total = 0
    for region in regions:
        size = sum(each.shape[1] for each in region.borders)
        if batch and total + size > _CORNERS:
            yield batch
            batch, total = [], 0
        batch.append(region)
        total += size
    if batch:
        yield batch


def closed_regions(closed: list[OpenRegion], kind: type[Borders]) -> Regions:
    """Closed regions with their outlines."""
    # Where two pieces meet, the corners of both at the seam cancel: the seam leaves no vertex.
    return Regions(borders_of(closed, kind).polygons(), *attributes_of(closed))


def attributes_of(
    regions: list[OpenRegion],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]]:
    """Class, pixels, sum of the confidence and last pixel of each."""
    sums = [region.confidence_sum for region in regions]
    return (
        np.array([region.class_id for region in regions], np.uint8),
        np.array([region.pixels for region in regions], np.int64),
        None if None in sums else np.array(sums, np.int64),
        np.array([region.last for region in regions], np.int64),
    )


def borders_of(regions: list[OpenRegion], kind: type[Borders]) -> Borders:
    """The sums of the borders of their pieces."""
    none = np.zeros((kind.COLUMNS, 0), np.int32)
    packed = [np.concatenate(region.borders, axis=1) for region in regions]
    number = np.repeat(np.arange(len(regions)), [each.shape[1] for each in packed])
    return kind.summed(number, np.concatenate([none, *packed], axis=1))
