"""Whether two rasters lie pixel on pixel, and how to read one on the grid of another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geoseg.classes import NODATA
from geoseg.coordinate_systems import crs_name, same_crs
from geoseg.errors import SourceError
from geoseg.raster.gdal import GDAL_ERRORS, open_dataset, reason
from geoseg.raster.source import Source

_TOLERANCE = 0.1
"""Pixels. Corners may differ by this, for world files round. Half a pixel is another convention."""

_WARP_TOLERANCE = 1e-6
"""Pixels. How far a resampled position may be off."""


def same_grid(one: Source, other: Source) -> bool:
    """Whether two rasters have the same size and, where both are georeferenced, the same place.

    Labels often lack the transform or the coordinate system that their image has: then the size and
    what both have decide. Coordinate systems are compared without heights and axis order.
    """
    if (one.height, one.width) != (other.height, other.width):
        return False
    if not (one.georeferenced and other.georeferenced):
        return True
    if one.crs is not None and other.crs is not None and not same_crs(one.crs, other.crs):
        return False
    to_pixels = ~one.transform
    corners = [(0, 0), (one.width, 0), (0, one.height), (one.width, one.height)]
    moved = [to_pixels @ (other.transform @ corner) for corner in corners]
    return bool(np.abs(np.subtract(moved, corners)).max() <= _TOLERANCE)


def describe_grid(source: Source) -> str:
    """Size and place of a raster for a message.

    Like ``64 x 80 pixels of 0.5 from (500000, 5400000) in EPSG:32632``.
    """
    size = f"{source.height} x {source.width} pixels"
    if not source.georeferenced:
        return f"{size} without georeferencing"
    a, b, x, d, e, y = tuple(source.transform)[:6]
    across, down = math.hypot(a, d), math.hypot(b, e)
    pixel = f"{across:g}" if abs(across - down) < 1e-9 * across else f"{across:g} x {down:g}"
    place = f"{size} of {pixel} from ({x:.10g}, {y:.10g})"
    if b or d:
        place += f", turned by {math.degrees(math.atan2(d, a)):.4g} degrees,"
    elif e > 0:
        place += ", south up,"
    return f"{place} without CRS" if source.crs is None else f"{place} in {crs_name(source.crs)}"


class WarpedReader:
    """A class raster on another raster's grid: the nearest pixel's value, 255 beyond its edges.

    Args:
        source: one band of uint8 class ids.
        grid: the raster whose size, transform and coordinate system are taken on.

    Raises:
        SourceError: one of them has no place on the ground, or cannot be read.
    """

    def __init__(self, source: Source, grid: Source) -> None:
        for raster in (source, grid):
            if not raster.georeferenced or raster.crs is None:
                raise SourceError(
                    f"{raster.path}: {describe_grid(raster)} cannot be resampled; "
                    "give it a place (a GeoTIFF with CRS)"
                )
        self.source = source
        self._file = open_dataset(source.path)
        # GDAL interpolates positions between exact ones, which ones depends on the window. rasterio
        # cannot switch that off, so the tolerance is small enough not to change a pixel.
        try:
            self._warped = WarpedVRT(
                self._file,
                src_crs=source.crs,
                crs=grid.crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.nearest,
                src_nodata=NODATA if source.nodata is None else source.nodata,
                nodata=NODATA,
                tolerance=_WARP_TOLERANCE,
            )
        except GDAL_ERRORS as error:
            self._file.close()
            raise self._failure(error) from error

    def __enter__(self) -> WarpedReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._warped.close()
        self._file.close()

    def read(
        self, row: int, col: int, height: int, width: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """``(pixels, valid)`` of a window of the grid, as `Reader.read` returns them."""
        window = Window(col, row, width, height)
        try:
            pixels = self._warped.read([self.source.bands[0]], window=window)
        except GDAL_ERRORS as error:
            raise self._failure(error) from error
        return pixels, pixels[0] != NODATA

    def _failure(self, error: Exception) -> SourceError:
        return SourceError(
            f"{self.source.path}: cannot be resampled ({reason(error)}); warp it first"
        )
