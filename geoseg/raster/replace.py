"""Files that appear under their names only when they are finished."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rasterio._err import CPLE_BaseError  # what rasterio.shutil raises, and rasterio.errors does not name
from rasterio.errors import RasterioError

from geoseg.errors import OutputError
from geoseg.temporary import folder_beside

_SIDECARS = (".aux.xml", ".ovr", ".msk")
_NEXT_TO_NOTHING = 1_000_000
"""Bytes. What GDAL leaves of a disk that it has found full."""


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A path of the same name in a temporary folder beside `out`, moved into its place when the block succeeds.

    Sidecars made beside it are moved first and the file last, so that a file that stands is complete. Sidecars of an
    older file, which would describe the new one wrongly, are removed. When the block fails, `out` stays as it was.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    try:
        with folder_beside(out) as folder:
            yield folder / out.name
            for suffix in _SIDECARS:
                made, final = folder / f"{out.name}{suffix}", out.with_name(f"{out.name}{suffix}")
                if made.exists():
                    os.replace(made, final)
                else:
                    final.unlink(missing_ok=True)
            os.replace(folder / out.name, out)
    except OutputError:
        raise
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise OutputError(
            f"{out}: cannot be written ({_reason(error, out)}); free the disk or choose another --out"
        ) from error


def _reason(error: Exception, out: Path) -> str:
    """What went wrong, in a few words: GDAL speaks of tags and directories where the disk is full."""
    with suppress(OSError):
        if shutil.disk_usage(out.parent).free < _NEXT_TO_NOTHING:
            return "the disk is full"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())
