"""From what the user named, files and folders, to the rasters to work on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import ConfigError
from geoseg.raster.fingerprint import read_fingerprint

SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg"})
"""Of rasters inside folders, in lower or upper case; a file that is named itself may have any."""


@dataclass(frozen=True, slots=True)
class FoundSource:
    """One input, and where its outputs go."""

    path: Path
    relative: Path
    """The outputs' path below the output folder, without suffix."""


def find_sources(paths: Iterable[str | Path]) -> list[FoundSource]:
    """The rasters that `paths` name: files as they are, folders searched recursively.

    Hidden files and folders (``.geoseg`` among them) and geoseg's own outputs are left out. A
    missing path, and a folder without any raster, are kept as they are: opening them reports what
    is wrong, while the others continue.

    Args:
        paths: files and folders. Below a folder the relative path is kept; a single file keeps its
            stem alone.

    Returns:
        In the order given, folders sorted by name; each file once.

    Raises:
        ConfigError: the outputs of two inputs would have the same name, or nothing but geoseg's own
            outputs is named.
    """
    given = [Path(path) for path in paths]
    found: dict[Path, FoundSource] = {}
    for path in given:
        for source in _below(path) if path.is_dir() else _single(path):
            found.setdefault(source.path.resolve(), source)
    if given and not found:
        raise ConfigError(f"{given[0]}: was made by geoseg itself; give the imagery")
    targets: dict[Path, Path] = {}
    for source in found.values():
        other = targets.setdefault(source.relative, source.path)
        if other != source.path:
            raise ConfigError(
                f"{other} and {source.path} would both write {source.relative}_*; "
                "rename one, or give each its own --out"
            )
    return list(found.values())


def _single(path: Path) -> list[FoundSource]:
    return [] if read_fingerprint(path) else [FoundSource(path, Path(path.stem))]


def _below(folder: Path) -> list[FoundSource]:
    rasters = [
        path
        for path in _walk(folder)
        if path.suffix.lower() in SUFFIXES and read_fingerprint(path) is None
    ]
    found = [FoundSource(path, path.relative_to(folder).with_suffix("")) for path in rasters]
    return found or [FoundSource(folder, Path(folder.resolve().name))]


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root, name)
