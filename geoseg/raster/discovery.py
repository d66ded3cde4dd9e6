"""From what the user named, files and folders, to the rasters to work on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from geoseg.errors import ConfigError
from geoseg.failures import per_input
from geoseg.foreign import named_elsewhere
from geoseg.listing import list_folder
from geoseg.prefetch import look_ahead
from geoseg.raster.content import raster_driver
from geoseg.raster.fingerprint import read_fingerprint
from geoseg.raster.item_list import is_item_list, read_item_list
from geoseg.raster.path_list import SUFFIXES, is_path_list, read_path_list
from geoseg.raster.tile_index import read_tile_index
from geoseg.remote import RemotePath, path_beside, source_path


@dataclass(frozen=True, slots=True)
class FoundSource:
    """One input, and where its outputs go."""

    path: Path
    relative: Path
    """The outputs' path below the output folder, without suffix."""


@dataclass(frozen=True, slots=True)
class FoundSources:
    """The inputs, and a line about everything that is none."""

    sources: list[FoundSource] = field(default_factory=list)
    """In the order given, folders sorted by name; each file once."""
    failures: dict[Path, str] = field(default_factory=dict)
    """Files and folders that cannot be used, and why."""
    repeated: list[str] = field(default_factory=list)
    """Links to what is found already."""
    own: list[str] = field(default_factory=list)
    """geoseg's own outputs, which are no sources."""


def find_sources(paths: Iterable[str | Path], *, tiles: bool = False) -> FoundSources:
    """The rasters that `paths` name: files as they are, folders searched recursively.

    Hidden files and folders (``.geoseg`` among them) and geoseg's own outputs are left out. A
    missing path, and a folder without any raster, are kept as they are: opening them reports what
    is wrong. Inputs whose outputs would have the same name are refused. The others continue.

    Args:
        paths: files and folders, files on servers and in archives too. Below a folder the relative
            path is kept; a single file keeps its stem alone. Lists of paths and of STAC items stand
            for what they name.
        tiles: tile indexes too stand for their tiles; else each is one raster.

    Raises:
        ConfigError: nothing but geoseg's own outputs is named.
    """
    found = FoundSources()
    by_place: dict[str, FoundSource] = {}
    for path in map(source_path, paths):
        listed = _listed(path, found, tiles=tiles)
        prints = look_ahead(read_fingerprint, [source.path for source in listed])
        for source, own_print in zip(listed, prints, strict=True):
            with per_input(source.path, partial(found.failures.__setitem__, source.path)):
                if own_print.result():
                    found.own.append(f"{source.path}: was made by geoseg itself")
                    continue
                first = by_place.setdefault(place_of(source.path), source)
                if os.path.abspath(first.path) != os.path.abspath(source.path):
                    found.repeated.append(f"{source.path}: is the same file as {first.path}")
    if found.own and not by_place and not found.failures:
        raise ConfigError(f"{found.own[0]}; give the imagery")
    _refuse_equal_targets(by_place.values(), found)
    return found


def _listed(path: Path, found: FoundSources, *, tiles: bool) -> list[FoundSource]:
    """What a list names, or a single path."""
    sources: list[FoundSource] = []
    with per_input(path, partial(found.failures.__setitem__, path)):
        named = _named_in(path, tiles=tiles)
        if named is None:
            return _candidates(path, found)
        for each in named:
            if line := _without_leave(path, each):
                found.failures[each] = line
                continue
            below = each.is_relative_to(path.parent) and ".." not in each.parts
            folder = each.relative_to(path.parent).parent if below else Path()
            is_folder = os.path.isdir(each)
            for source in _candidates(each, found):
                place = folder / each.name if is_folder else folder
                sources.append(FoundSource(source.path, place / source.relative))
    return sources


def _named_in(path: Path, *, tiles: bool) -> list[Path] | None:
    """The paths in a list; None in a file that is none."""
    if is_path_list(path):
        return read_path_list(path)
    if is_item_list(path):
        return read_item_list(path)
    if tiles and path.is_file() and raster_driver(path) == "GTI":
        return [path_beside(path.parent, name) for name in read_tile_index(path).locations]
    return None


def _without_leave(listing: Path, path: Path) -> str:
    """A line about what a list names elsewhere, without leave of the user; else empty."""
    named = source_path(path)
    if named is path or not isinstance(named, RemotePath):
        return ""
    return (
        f"{named}: is named by {listing}, and lies on a server or in an archive; fetch or unpack "
        "it, or let lists lead there with --allow-remote"
    )


def place_of(path: Path) -> str:
    """The same for all names of a file."""
    return path.gdal if isinstance(path, RemotePath) else os.path.realpath(path)


def _candidates(path: Path, found: FoundSources) -> list[FoundSource]:
    """The file, or the rasters below the folder; what is not looked at there is noted."""
    if isinstance(path, RemotePath):
        return [FoundSource(path, Path(path.stem))]
    if line := named_elsewhere(path):
        found.failures[path] = line
        return []
    if not os.path.isdir(path):
        return [FoundSource(path, Path(path.stem))]
    listing = list_folder(path)
    found.failures.update(listing.failures)
    found.repeated.extend(listing.repeated)
    rasters = [file for file in listing.files if file.suffix.lower() in SUFFIXES]
    if not rasters and not listing.failures:
        return [FoundSource(path, Path(path.resolve().name))]
    return [FoundSource(file, file.relative_to(path).with_suffix("")) for file in rasters]


def _refuse_equal_targets(sources: Iterable[FoundSource], found: FoundSources) -> None:
    """Sort the sources into those that can be used and those that share a target."""
    by_target: dict[Path, list[FoundSource]] = {}
    for source in sources:
        by_target.setdefault(source.relative, []).append(source)
    for source in sources:
        other = next((each for each in by_target[source.relative] if each is not source), None)
        if other is None:
            found.sources.append(source)
        else:
            found.failures[source.path] = (
                f"{source.path}: would write {source.relative}_*, and so would {other.path}; "
                "rename one, leave one out, or give each its own --out"
            )
