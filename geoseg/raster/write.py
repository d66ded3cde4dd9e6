"""Raster files that appear under their names only when they are complete."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from rasterio._err import (
    CPLE_BaseError,  # what rasterio.shutil raises, and rasterio.errors does not name
)
from rasterio.errors import RasterioError

from geoseg.files import replace_file

_SIDECARS = (".aux.xml", ".ovr", ".msk")


def replace_raster(path: Path) -> AbstractContextManager[Path]:
    """As `geoseg.files.replace_file`, with GDAL's sidecars and errors.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    return replace_file(path, sidecars=_SIDECARS, errors=(RasterioError, CPLE_BaseError, OSError))
