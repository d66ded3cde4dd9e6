"""Regions of a whole raster from the pieces of its parts.

Two pieces belong together where they meet across a border of their parts with a pixel side in one class. Each
pixel along a part's side waits for the pixel across it; a region is closed when none of its pixels waits, and
only then is it outlined, from the sum of its pieces' corners. So memory holds the open regions and the pixels
along the front of what has been seen, whatever the raster's size, and parts may be cut and may come in any way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import VectorError
from geoseg.vector.corners import add_corners, outline
from geoseg.vector.pieces import PartPieces, Side
from geoseg.vector.regions import Regions


def join_pieces(parts: Iterable[PartPieces], height: int, width: int) -> Iterator[Regions]:
    """The regions of a raster, each as soon as it is known to be complete.

    They equal the regions of the whole raster polygonized at once, attributes included, whatever the parts were;
    only their order depends on the parts.

    Args:
        parts: pieces of parts that cover the raster once, in any order (row-major order holds the least in memory).
        height: rows of the raster.
        width: its columns.

    Raises:
        VectorError: the parts leave a gap, overlap or reach beyond the raster.
    """
    seams = _Seams(height, width)
    for part in parts:
        if len(part.whole):
            yield part.whole
        closed = seams.add(part)
        if closed:
            yield _regions(closed)
    seams.check_closed()


@dataclass(slots=True)
class _Open:
    """A region that may go on beyond the parts seen so far."""

    class_id: int
    pixels: int
    confidence_sum: int | None
    waiting: int
    """Pixel sides whose neighbour has not been seen."""
    pieces: list[int]
    corners: list[NDArray[np.int32]]
    """``(3, n)`` row, column and sign (1 or 0) of the corners of each piece."""

    def absorb(self, other: _Open) -> None:
        self.pixels += other.pixels
        self.waiting += other.waiting
        self.pieces += other.pieces
        self.corners += other.corners
        if self.confidence_sum is not None and other.confidence_sum is not None:
            self.confidence_sum += other.confidence_sum


@dataclass(slots=True)
class _Front:
    """One side of a part whose neighbours have not all been seen."""

    start: int
    """First column of a top or bottom, first row of a left or right."""
    side: Side
    """With pieces numbered over all parts."""
    waiting: int
    """Pixels whose neighbour has not been seen."""


@dataclass(slots=True)
class _Seams:
    """The open regions, and the sides along which they may go on."""

    height: int
    width: int
    _open: dict[int, _Open] = field(default_factory=dict)
    """The open region of each piece."""
    _fronts: dict[tuple[str, int], list[_Front]] = field(default_factory=dict)
    """Waiting sides, by which side of their part they are and the line they lie on."""
    _pieces: int = 0
    """Pieces seen so far."""
    _pixels: int = 0
    """Pixels seen so far."""

    def add(self, part: PartPieces) -> list[_Open]:
        """Take a part in; the regions that it closed."""
        bottom, right = part.row + part.height, part.col + part.width
        if bottom > self.height or right > self.width:
            raise VectorError(
                f"a part of {part.height} x {part.width} at row {part.row}, column {part.col} reaches beyond "
                f"its raster of {self.height} x {self.width}; cut parts from the raster itself"
            )
        sides = [
            ("top", "bottom", part.row, part.col, part.top, part.row > 0),
            ("bottom", "top", bottom, part.col, part.bottom, bottom < self.height),
            ("left", "right", part.col, part.row, part.left, part.col > 0),
            ("right", "left", right, part.row, part.right, right < self.width),
        ]
        first = self._pieces
        self._pixels += part.height * part.width
        self._hold(part, [side for *_, side, goes_on in sides if goes_on])
        touched = set(range(first, self._pieces))
        for name, facing, line, start, side, goes_on in sides:
            if goes_on:
                pieces = np.where(side.piece >= 0, side.piece + first, -1)
                front = _Front(start, Side(pieces, side.class_id), pieces.size)
                touched |= self._meet(front, self._fronts.get((facing, line), []))
                if front.waiting:
                    self._fronts.setdefault((name, line), []).append(front)
                self._drop_met(facing, line)
        return self._take_closed(touched)

    def check_closed(self) -> None:
        """Raise VectorError where something still waits: then the parts did not tile the raster."""
        if self._open or self._fronts or self._pixels != self.height * self.width:
            raise VectorError(
                f"parts of {self._pixels} pixels in all do not tile their raster of {self.height} x {self.width}; "
                "give parts that cover it once, without gaps or overlaps"
            )

    def _hold(self, part: PartPieces, sides: list[Side]) -> None:
        """Open a region for each piece of a part; `sides` are those that do not lie at the raster's edge."""
        count = part.class_id.size
        waiting = np.zeros(count, np.int64)
        for side in sides:
            waiting += np.bincount(side.piece[side.piece >= 0], minlength=count)
        corners = np.stack([part.corners.row, part.corners.col, part.corners.positive]).astype(
            np.int32
        )
        stops = np.searchsorted(part.corners.region, np.arange(count + 1)).tolist()
        sums = [None] * count if part.confidence_sum is None else part.confidence_sum.tolist()
        facts = zip(
            part.class_id.tolist(), part.pixels.tolist(), sums, waiting.tolist(), strict=True
        )
        for index, (class_id, pixels, confidence_sum, waits) in enumerate(facts):
            # A copy: a view would keep all corners of the part for as long as this piece is open.
            own = corners[:, stops[index] : stops[index + 1]].copy()
            piece = self._pieces + index
            self._open[piece] = _Open(class_id, pixels, confidence_sum, waits, [piece], [own])
        self._pieces += count

    def _meet(self, front: _Front, others: list[_Front]) -> set[int]:
        """Join the pieces on both sides of a line where it has been seen from both; the pieces that met anything."""
        met: set[int] = set()
        for other in others:
            start = max(front.start, other.start)
            length = (
                min(front.start + front.side.piece.size, other.start + other.side.piece.size)
                - start
            )
            if length <= 0:
                continue
            front.waiting -= length
            other.waiting -= length
            ours, our_class = (line[start - front.start :][:length] for line in front.side)
            theirs, their_class = (line[start - other.start :][:length] for line in other.side)
            for side in (ours, theirs):
                pieces, counts = np.unique(side[side >= 0], return_counts=True)
                for piece, count in zip(pieces.tolist(), counts.tolist(), strict=True):
                    self._open[piece].waiting -= count
                    met.add(piece)
            same = (ours >= 0) & (theirs >= 0) & (our_class == their_class)
            for pair in set(zip(ours[same].tolist(), theirs[same].tolist(), strict=True)):
                self._unite(*pair)
        return met

    def _unite(self, one: int, other: int) -> None:
        """Make one region of two; the one of fewer pieces is renamed, so that a piece is renamed log n times."""
        kept, gone = self._open[one], self._open[other]
        if kept is gone:
            return
        if len(kept.pieces) < len(gone.pieces):
            kept, gone = gone, kept
        for piece in gone.pieces:
            self._open[piece] = kept
        kept.absorb(gone)

    def _drop_met(self, name: str, line: int) -> None:
        waiting = [front for front in self._fronts.pop((name, line), []) if front.waiting]
        if waiting:
            self._fronts[name, line] = waiting

    def _take_closed(self, touched: set[int]) -> list[_Open]:
        closed = []
        for piece in sorted(touched):
            region = self._open.get(piece)
            if region is not None and region.waiting == 0:
                closed.append(region)
                for member in region.pieces:
                    del self._open[member]
        return closed


def _regions(closed: list[_Open]) -> Regions:
    """Closed regions with their outlines."""
    corners = [np.concatenate(region.corners, axis=1) for region in closed]
    row, col, positive = np.concatenate(corners, axis=1).astype(np.int64)
    number = np.repeat(np.arange(len(closed)), [each.shape[1] for each in corners])
    sums = [region.confidence_sum for region in closed]
    return Regions(
        outline(add_corners(number, row, col, positive > 0)),
        np.array([region.class_id for region in closed], np.uint8),
        np.array([region.pixels for region in closed], np.int64),
        None if None in sums else np.array(sums, np.int64),
    )
