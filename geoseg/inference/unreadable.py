"""Sheets whose pixels could not be read, as long as they stay as they are.

Opening a sheet does not show that its pixels are damaged. So what a run has found is kept: the next
one leaves the same sheets out from the start, and finds its outputs finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.errors import SourceError
from geoseg.inference.verified import read_verified, write_verified
from geoseg.locks import WORK_FOLDER
from geoseg.places import AnyPath
from geoseg.raster import SeenSource, SeenSources
from geoseg.raster.companions import companions

_NAME, _KEY = "unreadable.json", "sheets"


def unreadable_sheets(out: AnyPath) -> dict[str, str]:
    """What earlier runs into a folder have said of sheets, by their fingerprints."""
    document = read_verified(out / WORK_FOLDER / _NAME, _KEY) or {}
    lines: dict[str, str] = document.get("lines", {})
    return lines


def sheet_fingerprint(sheet: Path, stack: Sequence[str]) -> str:
    """Of a sheet, with the files beside it that hold more of its bands.

    Raises:
        SourceError: one of them cannot be read.
    """
    files = [sheet, *companions(sheet, stack)]
    return (SeenSources.at(sheet, files, "") if stack else SeenSource.at(sheet)).fingerprint


def note_unreadable(out: AnyPath, sheet: Path, stack: Sequence[str], line: str) -> None:
    """Keep what is said of a sheet.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        fingerprint = sheet_fingerprint(sheet, stack)
    except SourceError:  # then the next run is told so when it opens it
        return
    lines = unreadable_sheets(out) | {fingerprint: line}
    document = {"key": _KEY, "lines": lines}
    write_verified(out / WORK_FOLDER / _NAME, document, sync=True)
