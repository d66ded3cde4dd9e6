"""GDAL's way to rasters on servers and in archives: by blocks, without a look at what is beside.

What is beside a raster there (``.aux.xml``, ``.ovr``, ``.msk``, ``.tfw``) would be further
requests, and further files, which the user has not named: it is not read.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioError

from geoseg.buckets import gdal_variables
from geoseg.errors import SourceError
from geoseg.remote import RemotePath
from geoseg.remote_look import retry_settings

DRIVERS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG")
"""GDAL's names of the formats that are read from servers and archives."""
INPUTS = ("GTiff", "JP2OpenJPEG", "PNG")
"""Those that a user may name there: only all of a JPEG shows whether it is cut short."""
LEADING_ON = frozenset({"overview_file", "x_dataset", "y_dataset"})
"""The metadata items that name files to open."""
_SETTINGS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",  # a server that sends nothing for so many seconds ...
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",  # ... is asked again
    "GDAL_HTTP_RETRY_CODES": "408,429,500,502,503,504",
    "GDAL_INGESTED_BYTES_AT_OPEN": "65536",
    "CPL_VSIL_CURL_CACHE_SIZE": str(32 * 2**20),
    # What is known of a file goes with its last handle: it may be another one by then.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/http:/vsis3/:/vsigs/:/vsiaz/",
}
"""GDAL's settings; those in the environment count more."""


def reaching(path: Path) -> AbstractContextManager[Any]:
    """What GDAL needs to open a raster, and to read it, where it lies elsewhere."""
    if not isinstance(path, RemotePath):
        return nullcontext()
    retries, delay = retry_settings()
    settings = {"GDAL_HTTP_MAX_RETRY": str(retries), "GDAL_HTTP_RETRY_DELAY": str(delay)}
    settings |= {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    env: AbstractContextManager[Any] = rasterio.Env(**settings, **gdal_variables())
    return env


def remote_driver(path: RemotePath) -> str | None:
    """The driver that opens a raster elsewhere; None where it is no image that is read there.

    Raises:
        SourceError: it cannot be looked at.
    """
    for driver in DRIVERS:
        try:
            with reaching(path), rasterio.open(path.gdal, driver=driver):
                return driver
        except RasterioError:
            continue
    return None


def refuse_leading_on(path: RemotePath, file: Any) -> None:
    """Refuse an image whose metadata lead to further files.

    Args:
        path: the image.
        file: its open rasterio dataset.

    Raises:
        SourceError: they do.
    """
    spaces = file.tag_namespaces()
    keys = {key.lower() for space in spaces for key in file.tags(ns=space)}
    if keys & LEADING_ON:
        raise SourceError(
            f"{path}: its metadata lead to other files ({min(keys & LEADING_ON)}), which are not "
            "followed from a server; download and check it"
        )
