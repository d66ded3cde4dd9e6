"""An area of interest on the pixels of a raster: what of it is wanted, and what is read for it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

from geoseg.errors import OutsideError
from geoseg.raster.reader import Reader
from geoseg.tiling import Window

_PIECE = 256
"""Pixels, the side of what is read or left out: tiles of files have this side or twice it."""


@dataclass(frozen=True, eq=False)
class Area:
    """Polygons on the pixels of a raster."""

    path: Path
    """The file that they are from."""
    polygons: NDArray[np.object_]
    """In pixel coordinates, x = column, y = row; they may overlap and reach beyond the raster."""
    height: int
    """Of the raster, pixels."""
    width: int
    reach: int = 0
    """Pixels around the polygons that are read too: what a window that touches them sees."""
    crop: bool = True
    """Whether outputs end at the polygons' extent, or at the raster's."""

    def __post_init__(self) -> None:
        if self.bounds is None:
            raise OutsideError(
                f"{self.path}: holds the centre of no pixel of the raster; give an area on it"
            )

    @property
    def bounds(self) -> Window | None:
        """The rows and columns of the raster that hold the centres of pixels inside the polygons.

        None where the polygons lie elsewhere.
        """
        if not self.polygons.size:
            return None
        left, top, right, bottom = shapely.total_bounds(self.polygons)
        row, col = max(0, math.ceil(top - 0.5)), max(0, math.ceil(left - 0.5))
        row_end = min(self.height, math.floor(bottom - 0.5) + 1)
        col_end = min(self.width, math.floor(right - 0.5) + 1)
        if row_end <= row or col_end <= col:
            return None
        return Window(row, col, row_end - row, col_end - col)

    @property
    def extent(self) -> Window:
        """What outputs show of the raster."""
        whole = Window(0, 0, self.height, self.width)
        return self.bounds or whole if self.crop else whole

    @property
    def digest(self) -> str:
        """Hexadecimal digits that change with the pixels that are wanted, and with the extent."""
        facts = repr((self.height, self.width, self.extent)).encode()
        digest = hashlib.sha256(facts)
        for shape in shapely.to_wkb(self.polygons):
            digest.update(shape)
        return digest.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its fields, without the tree."""
        fields = (self.path, self.polygons, self.height, self.width, self.reach, self.crop)
        return Area, fields

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.polygons)

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """``(height, width)``: the pixels of a window whose centre a polygon holds."""
        shape = window.height, window.width
        here = self.polygons[self._tree.query(_box(window, 0))]
        if not here.size:
            return np.zeros(shape, np.bool_)
        # Moved by whole pixels, so that a pixel has one value in whatever window it lies.
        moved = shapely.transform(here, lambda points: points - (window.col, window.row))
        drawn: NDArray[np.bool_] = rasterio.features.rasterize(moved, shape, dtype="uint8") != 0
        return drawn

    def near(self, windows: Sequence[Window]) -> NDArray[np.bool_]:
        """Which windows hold something within reach of a polygon."""
        found = np.zeros(len(windows), np.bool_)
        boxes = [_box(window, self.reach) for window in windows]
        found[self._tree.query(boxes, predicate="intersects")[0]] = True
        return found


def _box(window: Window, reach: int) -> shapely.Polygon:
    return shapely.box(
        window.col - reach, window.row - reach, window.col_end + reach, window.row_end + reach
    )


class AreaReader(Reader):
    """A raster of which only what is near an area is read; the rest is 0 and invalid.

    Args:
        reader: of the whole raster; closed with this one.
        area: what is wanted of it.
    """

    def __init__(self, reader: Reader, area: Area) -> None:
        self._reader, self._area = reader, area
        self.path, self.height, self.width = reader.path, reader.height, reader.width
        self.bands, self.dtype = reader.bands, reader.dtype

    def close(self) -> None:
        """Close the reader of the whole raster."""
        self._reader.close()

    def _read(
        self, window: Window, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        pieces = list(_pieces(window))
        near = self._area.near(pieces)
        if near.all() and self._area.reach:
            return self._reader.read(*astuple(window), out=out)
        shape = window.height, window.width
        pixels = np.empty((self.bands, *shape), self.dtype) if out is None else out
        valid = np.zeros(shape, np.bool_)
        pixels.fill(0)
        for piece in _runs(piece for piece, is_near in zip(pieces, near, strict=True) if is_near):
            rows, cols = piece.slices(window.row, window.col)
            pixels[:, rows, cols], valid[rows, cols] = self._reader.read(*astuple(piece))
        if not self._area.reach:
            valid &= self._area.mask(window)
        return pixels, valid


def _pieces(window: Window) -> Iterator[Window]:
    """A window cut along the lines of one grid over the raster: the same pieces in all windows."""
    for row in range(window.row // _PIECE * _PIECE, window.row_end, _PIECE):
        for col in range(window.col // _PIECE * _PIECE, window.col_end, _PIECE):
            piece = Window(row, col, _PIECE, _PIECE).intersect(window)
            if piece is not None:
                yield piece


def _runs(pieces: Iterable[Window]) -> Iterator[Window]:
    """Neighbours in a row as one."""
    run: Window | None = None
    for piece in pieces:
        if run is not None and (run.row, run.col_end) == (piece.row, piece.col):
            run = Window(run.row, run.col, run.height, run.width + piece.width)
            continue
        if run is not None:
            yield run
        run = piece
    if run is not None:
        yield run
