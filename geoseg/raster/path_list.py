"""Text files that list rasters: one path a line, relative to the list's folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geoseg.errors import ConfigError
from geoseg.raster.content import raster_driver
from geoseg.remote import path_beside

SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg"})
"""Of rasters inside folders, in lower or upper case; a file that is named itself may have any."""
_LARGEST = 64 * 2**20
"""Bytes; a list of 500,000 files."""


def is_path_list(path: Path) -> bool:
    """Whether a file is a list: it is called ``.txt`` and is no raster."""
    try:
        return path.suffix.lower() == ".txt" and path.is_file() and raster_driver(path) is None
    except OSError:  # opened as a raster it is named
        return False


def read_path_list(path: Path) -> list[Path]:
    """The paths in a list, in order, each with the list's folder; empty lines are left out.

    Raises:
        ConfigError: it is not text, very large, or names nothing.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; give a list with one path a line") from error
    names = [line.strip() for line in text.splitlines()]
    if len(data) > _LARGEST or "\0" in text or not any(names):
        raise ConfigError(
            f"{path}: is not a list of files; give one path a line, at most {_LARGEST >> 20} MB"
        )
    return [path_beside(path.parent, name) for name in names if name]


def expand_lists(paths: Iterable[Path]) -> list[Path]:
    """The paths, with what each list names in its place.

    Raises:
        ConfigError: something is called a list and is none.
    """
    return [
        each for path in paths for each in (read_path_list(path) if is_path_list(path) else [path])
    ]
