"""When an image was taken, as its file says; else when the file was last written."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from geoseg.raster.gdal import open_dataset, reading_metadata
from geoseg.remote import RemotePath
from geoseg.remote_look import last_look

_TAGS = (
    ("ACQUISITIONDATETIME", "IMAGERY"),
    ("TIFFTAG_DATETIME", None),
    ("EXIF_DateTimeOriginal", None),
)
"""GDAL's names of dates and their domains, the first one that can be read counts."""
_FORMATS = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


def date_of(path: Path) -> float:
    """Seconds since 1970, taken as UTC where no zone is given.

    Raises:
        SourceError: the file cannot be read.
    """
    with open_dataset(path) as file, reading_metadata(path):
        texts = [file.tags(ns=domain).get(name) for name, domain in _TAGS]
    for text in filter(None, texts):
        for pattern in _FORMATS:
            with suppress(ValueError):
                return datetime.strptime(text.strip()[:19], pattern).replace(tzinfo=UTC).timestamp()
    return changed_at(path)


def changed_at(path: Path) -> float:
    """Seconds since 1970 when a file was last written; 0 where its server does not tell.

    Raises:
        SourceError: its server does not answer.
    """
    return last_look(path).changed if isinstance(path, RemotePath) else path.stat().st_mtime
