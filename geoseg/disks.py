"""Why something cannot be written, whether other files would meet the same, and what helps."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

IS_FULL = "the disk is full"
_FULL_OF_SQLITE = ("database or disk is full", "cannot rollback - no transaction is active")
"""The second is of what wants to undo what SQLite has undone by itself, as a full disk makes it."""
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV)
_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Faults of which a freed disk may be free."""
_OF_OPEN_FILES = (errno.EMFILE, errno.ENFILE)
_FULL_DISK = 1_000_000
"""Bytes. GDAL leaves no more than this of a disk that it has found full."""


def in_the_way(folder: Path) -> str:
    """What stands where a folder, or one above it, is needed, in a few words; empty if nothing."""
    nearest = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    if nearest.is_dir() or not os.path.lexists(nearest):
        return ""
    return f"{nearest} is {'a file' if nearest.exists() else 'a link to nothing'}, not a folder"


def why_unwritable(error: Exception, path: Path) -> str:
    """What went wrong, in a few words: GDAL names tags and directories where the disk is full.

    Args:
        error: of writing.
        path: of the file that was to be written.
    """
    if words := in_the_way(path.parent):
        return words
    with suppress(OSError):
        usage = shutil.disk_usage(path.parent)
        if usage.total and usage.free < _FULL_DISK:  # /proc has no room, and is not full
            return IS_FULL
    words = str(error.__cause__ or error)  # rasterio has GDAL's words in the cause
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror
    # SQLite, which rolls back and so leaves room, has its own words.
    return IS_FULL if any(said in words for said in _FULL_OF_SQLITE) else " ".join(words.split())


def is_of_the_disk(reason: str, path: Path) -> bool:
    """Whether other files beside the path would meet the same."""
    if reason == IS_FULL or any(os.strerror(fault) in reason for fault in _OF_DISKS):
        return True
    return path.parent.is_dir() and not os.access(path.parent, os.W_OK)


def what_helps(reason: str, error: Exception, path: Path, option: str) -> str:
    """What the user can do about it: room helps where it may be the cause.

    Args:
        reason: from `why_unwritable`.
        error: likewise, as given there.
        path: likewise.
        option: what the user calls the place.
    """
    fault = error.errno if isinstance(error, OSError) else None
    elsewhere = f"choose another {option}"
    if reason == IS_FULL or (fault is None and not in_the_way(path.parent)):
        return f"free the disk or {elsewhere}"  # of GDAL's words nobody knows it
    if fault in _OF_OPEN_FILES:
        return "let the shell allow more of them, as by ulimit -n 4096"
    return f"free the disk or {elsewhere}" if fault in _OF_ROOM else elsewhere
