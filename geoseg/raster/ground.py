"""How many metres of ground a pixel covers."""

from __future__ import annotations

import math
from typing import Any

from affine import Affine

_SEMI_MAJOR = 6378137.0  # WGS84, metres
_ECCENTRICITY_SQUARED = 0.00669437999014


def ground_sampling(transform: Affine, crs: Any | None, height: int, width: int) -> float | None:
    """Metres on the ground per pixel at the raster's centre: the geometric mean of both axes.

    Degrees are converted on the WGS84 ellipsoid, Mercator metres by the cosine of the latitude, feet by their length.

    Args:
        transform: pixel corner to CRS.
        crs: a rasterio CRS, or None.
        height: of the raster, in pixels.
        width: likewise.

    Returns:
        Metres; None without a CRS, or with one that says nothing about the ground (local, geocentric).
    """
    if crs is None:
        return None
    _, y = transform * (width / 2, height / 2)
    scale = _metres_per_unit(crs, y)
    if scale is None:
        return None
    along_x, along_y = scale
    across = math.hypot(transform.a * along_x, transform.d * along_y)
    down = math.hypot(transform.b * along_x, transform.e * along_y)
    return math.sqrt(across * down)


def _metres_per_unit(crs: Any, y: float) -> tuple[float, float] | None:
    """Metres of ground in one CRS unit along x and along y, at the ordinate `y`."""
    if crs.is_geographic:
        radians = crs.units_factor[1]
        latitude = y * radians
        bend = 1 - _ECCENTRICITY_SQUARED * math.sin(latitude) ** 2
        along_parallel = _SEMI_MAJOR / math.sqrt(bend) * math.cos(latitude)
        along_meridian = _SEMI_MAJOR * (1 - _ECCENTRICITY_SQUARED) / bend**1.5
        return radians * along_parallel, radians * along_meridian
    if not crs.is_projected:
        return None
    metres = float(crs.linear_units_factor[1])
    if crs.to_dict().get("proj") in ("merc", "webmerc"):
        metres *= math.cos(math.atan(math.sinh(y * metres / _SEMI_MAJOR)))
    return metres, metres
