"""Coordinate systems: their horizontal parts, whether two are one, and what people call them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pyproj


def ground_part(crs: pyproj.CRS) -> pyproj.CRS:
    """The part of a CRS that places points on the ground, without heights and datum shifts."""
    inner = crs.source_crs if crs.is_bound else crs.sub_crs_list[0] if crs.is_compound else None
    return crs if inner is None else ground_part(inner)


def horizontal_crs(crs: Any) -> pyproj.CRS:
    """The part of a CRS that places points on the ground, with its datum shift where it has one.

    Args:
        crs: a pyproj CRS, or one with ``to_wkt``, such as rasterio's.
    """
    known = _as_pyproj(crs)
    while known.is_compound:
        known = known.sub_crs_list[0]
    return known if known.is_bound else known.to_2d()


def same_crs(one: Any, other: Any) -> bool:
    """Whether two CRS place points alike: in their horizontal parts, whatever their axis order.

    Args:
        one: as `horizontal_crs` takes it.
        other: likewise.
    """
    return _alike(wkt_of(one), wkt_of(other))


@lru_cache(maxsize=256)  # of all sheets of a mosaic, again and again
def _alike(one: str, other: str) -> bool:
    first, second = (ground_part(pyproj.CRS.from_wkt(wkt)).to_2d() for wkt in (one, other))
    return bool(first.equals(second, ignore_axis_order=True))


def crs_name(crs: Any) -> str:
    """What people call a CRS, on one line: ``EPSG:32632``, else its name; never its WKT.

    Args:
        crs: as `horizontal_crs` takes it.
    """
    known = _as_pyproj(crs)
    authority = known.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(known.name)


def projjson(crs: Any) -> dict[str, Any]:
    """A CRS as PROJJSON, which STAC and GeoParquet hold.

    Args:
        crs: as `horizontal_crs` takes it.
    """
    return dict(_as_pyproj(crs).to_json_dict())


def _as_pyproj(crs: Any) -> pyproj.CRS:
    return crs if isinstance(crs, pyproj.CRS) else pyproj.CRS.from_wkt(wkt_of(crs))


def wkt_of(crs: Any) -> str:
    """A CRS as text, the same in every process.

    Args:
        crs: with ``to_wkt``.
    """
    return str(crs.to_wkt(version="WKT2_2019"))
