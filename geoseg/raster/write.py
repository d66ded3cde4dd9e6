"""Raster files that appear under their names only when they are complete."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from geoseg.files import replace_file
from geoseg.raster.gdal import GDAL_ERRORS


def replace_raster(path: Path) -> AbstractContextManager[Path]:
    """As `geoseg.files.replace_file`, with GDAL's sidecars and errors.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    return replace_file(path, sidecars=_sidecars, errors=(*GDAL_ERRORS, OSError))


def _sidecars(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in (".aux.xml", ".ovr", ".msk")]
