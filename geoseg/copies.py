"""Copies of what lies in a bucket, for libraries that read files of this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.files import temporary_folder
from geoseg.places import AnyPath, building_site
from geoseg.unwritable import naming_file


@contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """A file of this machine that GDAL can read: itself, or a copy out of a bucket.

    Raises:
        FileNotFoundError: there is no such object in the bucket.
        OutputError: the disk has no room for the copy.
    """
    if isinstance(path, Path):
        yield path
        return
    with temporary_folder(building_site(path)) as folder:
        copy = folder / path.name
        with naming_file(copy, option="TMPDIR"):
            path.fetch(copy)
        yield copy
