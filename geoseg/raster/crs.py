"""The coordinate system that a user names."""

from __future__ import annotations

import re

import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geoseg import geodesy
from geoseg.errors import ConfigError

_FETCHED = re.compile(r"\s*(/vsi|\w[\w+.-]+:/)", re.IGNORECASE)
"""How a coordinate system begins that GDAL would fetch."""


def parse_crs(text: str | CRS) -> CRS:
    """The coordinate system that `text` names.

    Raises:
        ConfigError: PROJ does not know it, or would have to fetch it.
    """
    if isinstance(text, str) and _FETCHED.match(text):
        raise ConfigError(
            f"--crs {text}: is not looked up on servers or in archives; give one like EPSG:25832"
        )
    try:
        with rasterio.Env():  # else PROJ prints its own line too
            known = CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(
            f"--crs {text}: not a coordinate system that PROJ knows; give one like EPSG:25832"
        ) from error
    if fault := geodesy.crs_fault(known):
        raise ConfigError(
            f"--crs {text}: PROJ cannot compute with it ({fault}); give one like EPSG:25832"
        )
    return known
