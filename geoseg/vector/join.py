"""Regions of a whole raster from the regions of its parts.

    +---------+---------+     Two pieces in neighbouring parts belong to one region where they meet
    |     a a | a a     |     across the seam with a pixel side in one class. Which pixels meet is
    |     a a | a       |     known as soon as both parts have been seen, in whatever order.
    +---------+---------+

Each pixel along a seam waits for the pixel across it. A region is closed when none of its pixels
waits; only then is it outlined, from the sum of the borders of its pieces. So memory holds the open
regions, those that wait for their turn (see `order`), and the pixels along the front of what has
been seen, whatever the raster's size is.

What is joined may itself be an area of a larger raster: the regions that touch its border stay
open, as those of a part do. So areas are joined like parts, and a raster as a tree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from geoseg.classes import NODATA
from geoseg.errors import VectorError
from geoseg.tiling import Window
from geoseg.vector.open_regions import (
    OpenRegion,
    attributes_of,
    borders_of,
    closed_regions,
    in_batches,
)
from geoseg.vector.order import OrderedRegions
from geoseg.vector.outlines import Corners
from geoseg.vector.part_regions import Borders, PartRegions, Side
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
    yield from join_area(parts, Window(0, 0, height, width), height, width)


def join_area(
    parts: Iterable[PartRegions], area: Window, height: int, width: int
) -> Generator[Regions, None, PartRegions]:
    """The regions of an area that touch no other one, in the row-major order of their last pixels.

    Args:
        parts: parts, or areas, that cover the area once.
        area: of the raster.
        height: rows of the raster.
        width: its columns.

    Returns:
        When all are yielded: the area as one part, which may continue beyond its sides.

    Raises:
        VectorError: the parts leave a gap, overlap or reach beyond the area.
    """
    joining = _Joining(area, height, width)
    ordered = OrderedRegions(area, width)
    for part in parts:
        batches = in_batches(joining.add(part))
        closed = (closed_regions(batch, joining.kind) for batch in batches)
        yield from ordered.add(part, [part.whole, *closed])
    return joining.rest()


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
    """The open regions of an area, and the sides along which they may continue."""

    area: Window
    height: int
    """Of the raster."""
    width: int
    kind: type[Borders] = Corners
    """Of the borders of all parts."""
    _open: dict[int, OpenRegion] = field(default_factory=dict)
    """The open region of each piece: the sets of a union-find, by their members."""
    _sides: defaultdict[tuple[str, int], list[_WaitingSide]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Waiting sides, by which side of their part they are and the row or column they lie on."""
    _pieces: int = 0
    """Pieces seen so far."""
    _pixels: int = 0
    """Pixels seen so far."""

    def add(self, part: PartRegions) -> list[OpenRegion]:
        """Take a part in; the regions that it closed."""
        bottom, right = part.row + part.height, part.col + part.width
        area = self.area
        inside = area.row <= part.row and area.col <= part.col
        if not inside or bottom > area.row_end or right > area.col_end:
            raise VectorError(
                f"a part of {part.height} x {part.width} at row {part.row}, column {part.col} "
                f"reaches beyond {self._name}; cut parts from the raster itself"
            )
        # The bottom of one part faces the top of another on the same line between rows.
        seams = [
            ("top", "bottom", part.row, part.col, part.top, part.row > 0),
            ("bottom", "top", bottom, part.col, part.bottom, bottom < self.height),
            ("left", "right", part.col, part.row, part.left, part.col > 0),
            ("right", "left", right, part.row, part.right, right < self.width),
        ]
        first = self._pieces
        self.kind = type(part.borders)
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

    def rest(self) -> PartRegions:
        """The regions that touch the area's sides inside the raster, as those of one part.

        Raises:
            VectorError: something else waits too: then the parts did not tile the area.
        """
        area = self.area
        borders = [
            self._border("top", area.row, area.row > 0),
            self._border("bottom", area.row_end, area.row_end < self.height),
            self._border("left", area.col, area.col > 0),
            self._border("right", area.col_end, area.col_end < self.width),
        ]
        if any(self._sides.values()) or self._pixels != area.height * area.width:
            raise self._untiled()
        number = np.full(self._pieces + 1, -1)  # its last entry is that of piece -1 (nodata)
        regions: list[OpenRegion] = []
        for piece, region in sorted(self._open.items()):
            if number[piece] < 0:
                number[region.pieces] = len(regions)
                regions.append(region)
        sides = [Side(number[side.piece], side.class_id) for side in borders]
        none = closed_regions([], self.kind)
        return PartRegions(
            *(area.row, area.col, area.height, area.width, none),
            *attributes_of(regions),
            borders_of(regions, self.kind),
            *sides,
        )

    def _border(self, name: str, line: int, goes_on: bool) -> Side:
        """All pixels along one side of the area; none where the raster ends there."""
        start, size = self.area.col, self.area.width
        if name in ("left", "right"):
            start, size = self.area.row, self.area.height
        if not goes_on:
            return Side(np.full(size, -1), np.full(size, NODATA))
        stretches = sorted(self._sides.pop((name, line), []), key=lambda each: each.start)
        pieces = [each.side.piece for each in stretches]
        for stretch in stretches:
            if stretch.start != start:
                raise self._untiled()
            start += stretch.side.piece.size
        if sum(each.size for each in pieces) != size:
            raise self._untiled()
        return Side(
            np.concatenate(pieces), np.concatenate([each.side.class_id for each in stretches])
        )

    def _untiled(self) -> VectorError:
        return VectorError(
            f"parts of {self._pixels} pixels in all do not tile {self._name}; "
            "give parts that cover it once, without gaps or overlaps"
        )

    @property
    def _name(self) -> str:
        """The area, for messages."""
        raster = f"the raster of {self.height} x {self.width}"
        area = self.area
        if (area.height, area.width) == (self.height, self.width):
            return raster
        return f"{area.height} x {area.width} at row {area.row}, column {area.col} of {raster}"

    def _open_pieces(self, part: PartRegions, seams: list[Side]) -> None:
        """Open a region for each piece of a part; `seams` are the sides inside the raster."""
        count = part.class_id.size
        waiting = np.zeros(count, np.int64)
        for side in seams:
            waiting += np.bincount(side.piece[side.piece >= 0], minlength=count)
        borders = part.borders.packed
        stops = np.searchsorted(part.borders.region, np.arange(count + 1))
        sums = [None] * count if part.confidence_sum is None else part.confidence_sum.tolist()
        for index in range(count):
            # A copy: a view would keep all borders of the part for as long as this piece is open.
            own_borders = borders[:, stops[index] : stops[index + 1]].copy()
            piece = self._pieces + index
            self._open[piece] = OpenRegion(
                int(part.class_id[index]),
                int(part.pixels[index]),
                sums[index],
                int(part.last[index]),
                int(waiting[index]),
                [piece],
                [own_borders],
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

    def _take_closed(self, touched: set[int]) -> list[OpenRegion]:
        closed = []
        for piece in sorted(touched):
            region = self._open.get(piece)
            if region is not None and region.waiting == 0:
                closed.append(region)
                for member in region.pieces:
                    del self._open[member]
        return closed
