"""Do two rasters lie pixel on pixel? And one read on the grid of another where they do not."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what WarpedVRT raises, and rasterio.errors does not name
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geoseg.classes import NODATA
from geoseg.errors import SourceError
from geoseg.raster.dataset import opened, reason
from geoseg.raster.source import Source

_OFF = 0.1
"""Pixels. Corners may differ by this: world files round; half a pixel is another convention and a fault."""

_EXACT = 1e-6
"""Pixels. How far a resampled position may be off."""


def same_grid(one: Source, other: Source) -> bool:
    """Whether two rasters have the same size and, where both are georeferenced, the same place.

    Labels often lack the transform or the coordinate system that their image has: then size and the rest decide.
    """
    if (one.height, one.width) != (other.height, other.width):
        return False
    if not (one.georeferenced and other.georeferenced):
        return True
    if one.crs is not None and other.crs is not None and one.crs != other.crs:
        return False
    to_pixels = ~one.transform
    corners = [(0, 0), (one.width, 0), (0, one.height), (one.width, one.height)]
    moved = [to_pixels * (other.transform * corner) for corner in corners]
    return bool(np.abs(np.subtract(moved, corners)).max() <= _OFF)


def describe_grid(source: Source) -> str:
    """Size and place of a raster for a message: ``64 x 80 pixels of 0.5 from (500000, 5400000) in EPSG:32632``."""
    size = f"{source.height} x {source.width} pixels"
    if not source.georeferenced:
        return f"{size} without georeferencing"
    a, _, x, _, e, y = tuple(source.transform)[:6]
    pixel = f"{abs(a):g}" if abs(abs(a) - abs(e)) < 1e-9 * abs(a) else f"{abs(a):g} x {abs(e):g}"
    place = f"{size} of {pixel} from ({x:.10g}, {y:.10g})"
    return (
        f"{place} in {source.crs.to_string()}" if source.crs is not None else f"{place} without CRS"
    )


class Resampled:
    """A class raster read on another raster's grid: the nearest pixel's value, 255 beyond its edges.

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
                    f"{raster.path}: {describe_grid(raster)} cannot be resampled; give it a place (a GeoTIFF with CRS)"
                )
        self.source = source
        self._files = ExitStack()
        file = self._files.enter_context(opened(source.path))
        given = NODATA if source.nodata is None else source.nodata
        # GDAL interpolates positions between exact ones, which ones depends on the window, to within the tolerance;
        # rasterio cannot ask it to do without.
        try:
            self._warped = WarpedVRT(
                file,
                src_crs=source.crs,
                crs=grid.crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.nearest,
                src_nodata=given,
                nodata=NODATA,
                tolerance=_EXACT,
            )
        except (RasterioError, CPLE_BaseError) as error:
            self._files.close()
            raise SourceError(
                f"{source.path}: cannot be resampled ({reason(error)}); warp it first"
            ) from error
        self._files.callback(self._warped.close)

    def __enter__(self) -> Resampled:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def read(
        self, row: int, col: int, height: int, width: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """``(pixels, valid)`` of a window of the grid, as `Reader.read` gives them."""
        try:
            pixels = self._warped.read(
                [self.source.bands[0]], window=Window(col, row, width, height)
            )
        except RasterioError as error:
            raise SourceError(
                f"{self.source.path}: cannot be resampled ({reason(error)}); warp it first"
            ) from error
        return pixels, pixels[0] != NODATA
