"""Regions of a whole raster from the regions of its parts.

    +---------+---------+     Two pieces in neighbouring parts belong to one region where they meet
    |     a a | a a     |     across the seam with a pixel side in one class. Which pixels meet is
    |     a a | a       |     known as soon as both parts have been seen, in whatever order.
    +---------+---------+

Each pixel along a seam waits for the pixel across it. A region is closed when none of its pixels
waits; only then is it outlined, from the sum of the corners of its pieces. So memory holds the open
regions, those that wait for their turn (see `order`), and the pixels along the front of what has
been seen, whatever the raster's size is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import VectorError
from geoseg.vector.order import OrderedRegions
from geoseg.vector.outlines import add_corners, outline
from geoseg.vector.part_regions import PartRegions, Side
from geoseg.vector.polygonize import Regions


def join_parts(parts: Iterable[PartRegions], height: int, width: int) -> Iterator[Regions]:
    """The regions of a raster, in the row-major order of their last pixels.

    They equal the regions of the whole raster polygonized at once, attributes included, whatever
    the parts were.

    Args:
        parts: parts that cover the raster once, in any order (row-major order needs the least
            memory).
        height: rows of the raster.
        width: its columns.

    Raises:
        VectorError: the parts leave a gap, overlap or reach beyond the raster.
    """
    joining = _Joining(height, width)
    ordered = OrderedRegions(height, width)
    for part in parts:
        closed = joining.add(part)
        yield from ordered.add(part, [part.whole, *([_regions(closed)] if closed else [])])
    joining.check_closed()


@dataclass(slots=True)
class _OpenRegion:
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

    def absorb(self, other: _OpenRegion) -> None:
        self.pixels += other.pixels
        self.waiting += other.waiting
        self.pieces += other.pieces
        self.corners += other.corners
        if self.confidence_sum is not None and other.confidence_sum is not None:
            self.confidence_sum += other.confidence_sum


@dataclass(slots=True)
class _WaitingSide:
    """One side of a part whose neighbours have not all been seen."""

    start: int
    """First column of a top or bottom, first row of a left or right."""
    side: Side
    """With pieces numbered over all parts."""
    waiting: int
    """Pixels whose neighbour has not been seen."""

    def overlap(self, other: _WaitingSide) -> tuple[Side, Side]:
        """The stretches of both that lie across from one another; empty where there are none."""
        start = max(self.start, other.start)
        end = min(self.start + self.side.piece.size, other.start + other.side.piece.size)
        end = max(start, end)
        ours = self.side.cut(start - self.start, end - self.start)
        return ours, other.side.cut(start - other.start, end - other.start)


@dataclass(slots=True)
class _Joining:
    """The open regions, and the sides along which they may continue."""

    height: int
    width: int
    _open: dict[int, _OpenRegion] = field(default_factory=dict)
    """The open region of each piece: the sets of a union-find, by their members."""
    _sides: defaultdict[tuple[str, int], list[_WaitingSide]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Waiting sides, by which side of their part they are and the row or column they lie on."""
    _pieces: int = 0
    """Pieces seen so far."""
    _pixels: int = 0
    """Pixels seen so far."""

    def add(self, part: PartRegions) -> list[_OpenRegion]:
        """Take a part in; the regions that it closed."""
        bottom, right = part.row + part.height, part.col + part.width
        if bottom > self.height or right > self.width:
            raise VectorError(
                f"a part of {part.height} x {part.width} at row {part.row}, column {part.col} "
                f"reaches beyond its raster of {self.height} x {self.width}; "
                "cut parts from the raster itself"
            )
        # The bottom of one part faces the top of another on the same line between rows.
        seams = [
            ("top", "bottom", part.row, part.col, part.top, part.row > 0),
            ("bottom", "top", bottom, part.col, part.bottom, bottom < self.height),
            ("left", "right", part.col, part.row, part.left, part.col > 0),
            ("right", "left", right, part.row, part.right, right < self.width),
        ]
        first = self._pieces
        self._pixels += part.height * part.width
        self._open_pieces(part, [side for *_, side, goes_on in seams if goes_on])
        touched = set(range(first, self._pieces))
        for name, facing, line, start, side, goes_on in seams:
            if goes_on:
                pieces = np.where(side.piece >= 0, side.piece + first, -1)
                own = _WaitingSide(start, Side(pieces, side.class_id), pieces.size)
                others = self._sides[facing, line]
                touched |= self._meet(own, others)
                self._sides[facing, line] = [other for other in others if other.waiting]
                if own.waiting:
                    self._sides[name, line].append(own)
        return self._take_closed(touched)

    def check_closed(self) -> None:
        """Raise VectorError where something still waits: then the parts did not tile the raster."""
        if self._open or any(self._sides.values()) or self._pixels != self.height * self.width:
            raise VectorError(
                f"parts of {self._pixels} pixels in all do not tile their raster of "
                f"{self.height} x {self.width}; "
                "give parts that cover it once, without gaps or overlaps"
            )

    def _open_pieces(self, part: PartRegions, seams: list[Side]) -> None:
        """Open a region for each piece of a part; `seams` are the sides inside the raster."""
        count = part.class_id.size
        waiting = np.zeros(count, np.int64)
        for side in seams:
            waiting += np.bincount(side.piece[side.piece >= 0], minlength=count)
        corners = np.stack([part.corners.row, part.corners.col, part.corners.positive])
        corners = corners.astype(np.int32)
        stops = np.searchsorted(part.corners.region, np.arange(count + 1))
        sums = [None] * count if part.confidence_sum is None else part.confidence_sum.tolist()
        for index in range(count):
            # A copy: a view would keep all corners of the part for as long as this piece is open.
            own_corners = corners[:, stops[index] : stops[index + 1]].copy()
            piece = self._pieces + index
            self._open[piece] = _OpenRegion(
                int(part.class_id[index]),
                int(part.pixels[index]),
                sums[index],
                int(waiting[index]),
                [piece],
                [own_corners],
            )
        self._pieces += count

    def _meet(self, own: _WaitingSide, others: list[_WaitingSide]) -> set[int]:
        """Join the pieces on both sides of a seam where both have been seen; all that met anything.

        own     | 0 0 0 3 3 |        Both lose their common stretch from `waiting`, and so do the
        --------+-----------+        regions, pixel by pixel. Where classes agree, pieces are
        others  7 7 | 8 8 8 8 |      joined: here perhaps 0 with 7 and 8, and 3 with 8.
        """
        met: set[int] = set()
        for other in others:
            ours, theirs = own.overlap(other)
            own.waiting -= ours.piece.size
            other.waiting -= ours.piece.size
            for side in (ours, theirs):
                pieces, counts = np.unique(side.piece[side.piece >= 0], return_counts=True)
                for piece, count in zip(pieces.tolist(), counts.tolist(), strict=True):
                    self._open[piece].waiting -= count
                    met.add(piece)
            same = (ours.piece >= 0) & (theirs.piece >= 0) & (ours.class_id == theirs.class_id)
            pairs = zip(ours.piece[same].tolist(), theirs.piece[same].tolist(), strict=True)
            for pair in set(pairs):
                self._unite(*pair)
        return met

    def _unite(self, one: int, other: int) -> None:
        """Make one region of two.

        Union by size: the region of fewer pieces is absorbed, so each piece is moved at most log n
        times.
        """
        kept, gone = self._open[one], self._open[other]
        if kept is gone:
            return
        if len(kept.pieces) < len(gone.pieces):
            kept, gone = gone, kept
        for piece in gone.pieces:
            self._open[piece] = kept
        kept.absorb(gone)

    def _take_closed(self, touched: set[int]) -> list[_OpenRegion]:
        closed = []
        for piece in sorted(touched):
            region = self._open.get(piece)
            if region is not None and region.waiting == 0:
                closed.append(region)
                for member in region.pieces:
                    del self._open[member]
        return closed


def _regions(closed: list[_OpenRegion]) -> Regions:
    """Closed regions with their outlines."""
    corners = [np.concatenate(region.corners, axis=1) for region in closed]
    row, col, positive = np.concatenate(corners, axis=1).astype(np.int64)
    number = np.repeat(np.arange(len(closed)), [each.shape[1] for each in corners])
    sums = [region.confidence_sum for region in closed]
    return Regions(
        # Where two pieces meet, the corners of both at the seam cancel: the seam leaves no vertex.
        outline(add_corners(number, row, col, positive > 0)),
        np.array([region.class_id for region in closed], np.uint8),
        np.array([region.pixels for region in closed], np.int64),
        None if None in sums else np.array(sums, np.int64),
    )
