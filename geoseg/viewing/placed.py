"""Where rasters lie on a map, and the pyramid of tiles that is laid over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from geoseg.raster.gdal import open_dataset

SIDE = 256
"""Of a tile, pixels."""
NOWHERE = CRS.from_wkt('LOCAL_CS["pixels",UNIT["metre",1]]')
"""Of rasters without a coordinate system."""

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A raster and where it lies."""

    path: Path
    crs: CRS
    transform: Affine
    """Of pixel corners to its CRS; of one without a place, rows go down from 0."""
    height: int
    width: int

    @classmethod
    def at(cls, path: Path, crs: CRS | None = None) -> Placed:
        """The raster in a file.

        Args:
            path: of the file.
            crs: its coordinate system where it declares none.

        Raises:
            SourceError: it cannot be opened.
        """
        with open_dataset(path) as file:
            place = file.transform
            place = Affine.scale(1, -1) if place.is_identity else place
            return cls(path, file.crs or crs or NOWHERE, place, file.height, file.width)

    def bounds(self, crs: CRS) -> Bounds | None:
        """What it covers, in a CRS; None where there is no way from its own."""
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        xs, ys = zip(*(self.transform @ corner for corner in corners), strict=True)
        own = (min(xs), min(ys), max(xs), max(ys))
        if self.crs == crs:
            return own
        if NOWHERE in (self.crs, crs):
            return None
        left, bottom, right, top = transform_bounds(self.crs, crs, *own)
        return (left, bottom, right, top) if math.isfinite(left + bottom + right + top) else None


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Tiles of 256 pixels in levels, each of twice the resolution of the one before."""

    crs: CRS
    left: float
    top: float
    across: float
    """Size of a pixel of the last level, in units of the CRS; downwards it is `down`."""
    down: float
    width: int
    """Pixels of the last level."""
    height: int

    @classmethod
    def over(cls, first: Placed, bounds: Sequence[Bounds]) -> Pyramid:
        """The pyramid with the pixels of one raster that covers some more.

        In degrees pixels are made square on the ground.
        """
        place = first.transform
        upright = place.b == place.d == 0
        across = abs(place.a) if upright else math.sqrt(abs(place.determinant))
        down = abs(place.e) if upright else across
        covered = np.array(bounds)
        (left, bottom), (right, top) = covered[:, :2].min(0), covered[:, 2:].max(0)
        if first.crs.is_geographic:
            down = across * max(0.05, math.cos(math.radians((bottom + top) / 2)))
        # On whole pixels of the first raster, where it has an upright place.
        x = min(place.c, place.c + place.a * first.width)
        y = max(place.f, place.f + place.e * first.height)
        x -= math.ceil((x - left) / across - 1e-6) * across
        y += math.ceil((top - y) / down - 1e-6) * down
        width = math.ceil((right - x) / across - 1e-6)
        height = math.ceil((y - bottom) / down - 1e-6)
        return cls(first.crs, x, y, across, down, max(1, width), max(1, height))

    @property
    def last(self) -> int:
        """Number of the last level; the first, 0, is one tile."""
        return max(0, math.ceil(math.log2(max(self.width, self.height) / SIDE)))

    def tiles(self, level: int) -> tuple[int, int]:
        """Columns and rows of the tiles of a level."""
        covered = SIDE << (self.last - level)
        return -(-self.width // covered), -(-self.height // covered)

    def transform(self, level: int, col: int, row: int) -> Affine:
        """Of the pixel corners of a tile to the CRS."""
        step = 1 << (self.last - level)
        across, down = self.across * step, self.down * step
        left, top = self.left + col * SIDE * across, self.top - row * SIDE * down
        return Affine(across, 0, left, 0, -down, top)

    def bounds(self, level: int, col: int, row: int) -> Bounds:
        """What a tile covers."""
        place = self.transform(level, col, row)
        return place.c, place.f + SIDE * place.e, place.c + SIDE * place.a, place.f

    def to_json(self) -> dict[str, Any]:
        """What the page needs to know."""
        numbers = {"left": self.left, "top": self.top, "across": self.across, "down": self.down}
        return {**numbers, "width": self.width, "height": self.height, "last": self.last}


def touching(bounds: NDArray[np.float64], shown: Bounds) -> NDArray[np.intp]:
    """Which of ``(n, 4)`` bounds overlap others."""
    left, bottom, right, top = shown
    inside = (bounds[:, 0] < right) & (bounds[:, 2] > left)
    return np.flatnonzero(inside & (bounds[:, 1] < top) & (bounds[:, 3] > bottom))
