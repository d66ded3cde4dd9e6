"""Metres and square metres on the ground, from the pixels of any coordinate system.

A projected coordinate system counts metres of its plane. In most of them these are metres on the
ground, to some parts in a thousand: then the plane's own, exact numbers are used. In others (web
mercator at 60 degrees: 1 m of the plane is 0.5 m of ground) and in degrees, pixels and polygons are
measured on the ellipsoid, by PROJ's cylindrical equal-area projection of it. Not by the scale
factors of `pyproj.Proj.get_factors`: those of web mercator are of a sphere, and off by up to 0.7 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geoseg.coordinate_systems import ground_part, horizontal_crs, wkt_of
from geoseg.ellipsoid import Ellipsoid

_TRUE_TO_SCALE = 0.005
"""Share by which an area of the plane may differ from that on the ground and still be used."""

_STEPS = 33
"""Points along a line that is measured on the ellipsoid."""


def ground_sampling(transform: Affine, crs: Any | None, height: int, width: int) -> float | None:
    """Metres on the ground per pixel at the raster's centre: the side of a square of its area.

    Args:
        transform: pixel corner to CRS.
        crs: a rasterio CRS, or None.
        height: of the raster, in pixels.
        width: likewise.

    Returns:
        Metres; None without a CRS, with one that does not lie on the ground (local, geocentric), or
        where the raster lies beyond the ground (a latitude of 100 degrees).
    """
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return None
    centre = _boxes(transform, np.array([width / 2 - 0.5]), np.array([height / 2 - 0.5]))
    area = _measured(transform, crs, centre).areas(centre, np.ones(1))[0]
    return math.sqrt(area) if area > 0 else None


def places_pixels(transform: Affine, height: int, width: int) -> bool:
    """Whether a transform gives the pixels of a raster places of their own.

    It does not where numbers are not finite, where pixels have no area, or where they are so small
    beside their coordinates, or reach so far, that neighbours cannot be told apart.

    Args:
        transform: pixel corner to CRS.
        height: of the raster, in pixels.
        width: likewise.
    """
    if not all(map(math.isfinite, transform)):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        area = abs(transform.determinant)
        cols, rows = np.meshgrid([0.0, width - 1.0], [0.0, height - 1.0])
        corners = _boxes(transform, cols.ravel(), rows.ravel())
        return all(area / 2 < found < 2 * area for found in shapely.area(corners))


def crs_fault(crs: Any) -> str:
    """Why PROJ cannot compute with a CRS, in a few words; empty where it can.

    Args:
        crs: as `horizontal_crs` takes it.
    """
    try:
        horizontal, _ = _on_ground(wkt_of(crs))
    except ProjError as error:
        return " ".join(str(error).split()).rstrip(".: ")
    parts = [part for part in (horizontal, horizontal.geodetic_crs) if part is not None]
    units = [axis.unit_conversion_factor for part in parts for axis in part.axis_info]
    return "" if all(0 < unit < math.inf for unit in units) else "one of its units has no size"


def extent(
    transform: Affine, crs: Any | None, height: int, width: int
) -> tuple[float, float] | None:
    """Metres on the ground along a raster's middle row and its middle column.

    Takes what `ground_sampling` takes.

    Returns:
        Width and height in metres; None where `ground_sampling` has none, or for a place where the
        projection cannot be inverted.
    """
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return None
    steps = np.linspace(0.0, 1.0, _STEPS)
    lines = [
        np.column_stack(transform @ (steps * width, np.full(_STEPS, height / 2))),
        np.column_stack(transform @ (np.full(_STEPS, width / 2), steps * height)),
    ]
    horizontal, _ = _on_ground(wkt_of(crs))
    centre_pixel = _boxes(transform, np.array([width / 2 - 0.5]), np.array([height / 2 - 0.5]))
    ellipsoid = _measured(transform, crs, centre_pixel).ellipsoid
    geod = horizontal.get_geod()
    if ellipsoid is None or geod is None:
        unit = horizontal.axis_info[0].unit_conversion_factor
        lengths = [math.dist(line[0], line[-1]) * unit for line in lines]
    else:
        lengths = [geod.line_length(*ellipsoid.degrees_of(line)) for line in lines]
    return (lengths[0], lengths[1]) if all(map(math.isfinite, lengths)) else None


def centre(
    transform: Affine, crs: Any | None, height: int, width: int
) -> tuple[float, float] | None:
    """Longitude and latitude in degrees of a raster's middle, in its CRS's own datum.

    Takes what `ground_sampling` takes.

    Returns:
        None without a CRS, or with one that does not lie on the ground there.
    """
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return None
    _, ellipsoid = _on_ground(wkt_of(crs))
    if ellipsoid is None:
        return None
    middle = np.array([transform @ (width / 2, height / 2)])
    longitude, latitude = (float(values[0]) for values in ellipsoid.degrees_of(middle))
    return (longitude, latitude) if math.isfinite(longitude + latitude) else None


@dataclass(frozen=True, slots=True)
class AreaRule:
    """How the regions of a raster are measured."""

    pixel: float
    """Square metres of a pixel in the plane; NaN where the CRS does not say."""
    ellipsoid: Ellipsoid | None = None
    """Given where regions are measured on the ellipsoid."""
    unit: float = np.nan
    """Metres of the plane's unit; NaN where the CRS does not say."""

    def areas(
        self, polygons: NDArray[np.object_], pixels: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Square metres of regions, given their polygons in CRS coordinates and their pixels."""
        if self.ellipsoid is None:
            return self.pixel * pixels
        return self.ellipsoid.areas(polygons)

    def perimeters(self, polygons: NDArray[np.object_]) -> NDArray[np.float64]:
        """Metres around regions and their holes, given their polygons in CRS coordinates."""
        if self.ellipsoid is None:
            return np.asarray(self.unit * shapely.length(polygons))
        return self.ellipsoid.lengths(polygons)


def area_rule(transform: Affine, crs: Any | None, height: int, width: int) -> AreaRule:
    """How the regions of a raster are measured.

    On the ellipsoid where the CRS is geographic, or where the area of a pixel at the raster's
    corners, edges or centre is off by more than 0.5 %; in the plane otherwise, with the CRS's unit
    converted to metres; not at all (NaN) without CRS. One rule a raster, so that areas add up.

    Args:
        transform: pixel corner to CRS.
        crs: the raster's CRS, a rasterio CRS, or None.
        height: of the raster, in pixels.
        width: likewise.
    """
    if crs is None:
        return AreaRule(np.nan)
    cols, rows = np.meshgrid(np.linspace(0, width - 1, 3), np.linspace(0, height - 1, 3))
    return _measured(transform, crs, _boxes(transform, cols.ravel(), rows.ravel()))


def _measured(transform: Affine, crs: Any, samples: NDArray[np.object_]) -> AreaRule:
    """The rule by what some pixels measure in the plane and on the ground."""
    horizontal, ellipsoid = _on_ground(wkt_of(crs))
    if ellipsoid is not None and horizontal.is_geographic:
        return AreaRule(np.nan, ellipsoid)
    unit = horizontal.axis_info[0].unit_conversion_factor
    pixel = abs(transform.determinant) * unit**2
    if ellipsoid is not None and horizontal.is_projected:
        areas = ellipsoid.areas(samples)
        # NaN or 0 where the projection cannot be inverted: then the plane is all there is.
        error = np.abs(pixel / areas[areas > 0] - 1)
        if (error > _TRUE_TO_SCALE).any():
            return AreaRule(pixel, ellipsoid)
    return AreaRule(pixel, unit=unit)


@lru_cache(maxsize=64)
def _on_ground(wkt: str) -> tuple[pyproj.CRS, Ellipsoid | None]:
    """The horizontal part of a CRS, and its ellipsoid where it has one."""
    horizontal = ground_part(pyproj.CRS.from_wkt(wkt))
    geographic, geod = horizontal.geodetic_crs, horizontal.get_geod()
    if geographic is None or geod is None:
        return horizontal, None
    return horizontal, Ellipsoid(
        pyproj.Transformer.from_crs(horizontal, geographic, always_xy=True),
        math.degrees(geographic.axis_info[0].unit_conversion_factor),
        # +over: longitudes continue beyond 180 degrees, so no polygon is torn at the date line.
        pyproj.Proj(proj="cea", a=geod.a, b=geod.b, over=True),
        geod,
    )


def to_longitude_latitude(
    pixels: shapely.Polygon, transform: Affine, crs: Any | None
) -> shapely.Polygon | None:
    """A polygon in pixel coordinates on WGS 84, longitude first.

    Args:
        pixels: x = column, y = row.
        transform: pixel corner to CRS.
        crs: a rasterio CRS, or None.

    Returns:
        None without a CRS, or where it has no longitude and latitude.
    """
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return None
    move = pyproj.Transformer.from_crs(horizontal_crs(crs), 4326, always_xy=True)

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(move.transform(*(transform @ points.T)))

    moved = shapely.transform(pixels, place)
    return moved if np.isfinite(shapely.get_coordinates(moved)).all() else None


def _boxes(
    transform: Affine, cols: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.object_]:
    """The outlines in CRS coordinates of pixels whose upper left corners these are."""
    boxes: NDArray[np.object_] = shapely.transform(
        shapely.box(cols, rows, cols + 1, rows + 1),
        lambda points: np.column_stack(transform @ points.T),
    )
    return boxes
