"""The files below a folder: every one of them, or a line about what was not looked at.

Links to folders are followed. A folder that is reached a second time, as in a loop of links, is
named and not searched again; its real place comes before any link to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR

Parts = tuple[str, ...]
"""The names of the folders from the listed one down to another."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is below a folder."""

    files: list[Path] = field(default_factory=list)
    """Each folder's own files, by name, before those of its folders."""
    failures: dict[Path, str] = field(default_factory=dict)
    """A line about each folder or link that cannot be followed: files may be missing."""
    repeated: list[str] = field(default_factory=list)
    """A line about each link to a folder that is searched already: no file is missing."""


def list_folder(
    folder: Path, enter: Callable[[Parts], bool] = lambda _: True, *, hidden: bool = False
) -> Listing:
    """All files below a folder, whatever they are; nothing is opened.

    Args:
        folder: where to begin.
        enter: whether to search a folder below it.
        hidden: whether to list files, and to search folders, whose names begin with a point.
    """
    listing, top = Listing(), Path(os.path.realpath(folder))
    searched: dict[Path, Path] = {}
    folders, links = [folder], list[Path]()
    while folders or links:
        here = folders.pop() if folders else links.pop(0)
        place = Path(os.path.realpath(here))
        first = searched.setdefault(place, here)
        if first != here or (here != folder and top.is_relative_to(place)):
            listing.repeated.append(f"{here}: leads back to {place}, which is not searched twice")
            continue
        for entry in _entries(here, listing):
            path = here / entry.name
            if entry.name.startswith(".") and not hidden:
                continue
            if not _is_folder(entry, path, listing):
                continue
            if enter(path.relative_to(folder).parts):
                (links if entry.is_symlink() else folders).append(path)
    listing.files.sort(key=_files_before_folders)
    return listing


def _entries(folder: Path, listing: Listing) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        listing.failures[folder] = (
            f"{folder}: this folder cannot be searched ({error.strerror}); make it readable, or "
            "move it elsewhere"
        )
        return []


def _is_folder(entry: os.DirEntry[str], path: Path, listing: Listing) -> bool:
    """Whether an entry is a folder; a file is listed."""
    try:
        # Unlike `is_dir`, `stat` reports a link that leads nowhere.
        if S_ISDIR(entry.stat().st_mode) if entry.is_symlink() else entry.is_dir():
            return True
    except OSError as error:
        listing.failures[path] = (
            f"{path}: this link cannot be followed ({error.strerror}); repair or remove it"
        )
    else:
        listing.files.append(path)
    return False


def _files_before_folders(path: Path) -> list[tuple[bool, str]]:
    return [*((True, folder) for folder in path.parts[:-1]), (False, path.name)]
