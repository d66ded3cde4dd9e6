"""Opening files with GDAL, with errors in one clear line and without noise."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from geoseg.errors import SourceError

FORMATS = "GeoTIFF, COG, VRT, JPEG2000, PNG or JPEG"

CAREFUL = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": False}
"""GDAL's quick way through a whole PNG gives noise for a file that was cut short; the usual way tells. Both opening
and reading look at this."""

GDAL_CACHE_BYTES = 64 * 2**20
"""Decoded blocks that GDAL may keep in one process, as ``GDAL_CACHEMAX``; its own default is 5 % of
the machine's memory in each process."""

# warnings.catch_warnings changes state that all threads share: one thread at a time.
_warnings_lock = threading.Lock()


@contextmanager
def opened(path: Path, **open_options: Any) -> Iterator[Any]:
    """The rasterio dataset of `path`, open for reading, closed at the end.

    Raises:
        SourceError: the file is missing, a folder, empty, or nothing that GDAL can read.
    """
    file = open_dataset(path, **open_options)
    try:
        yield file
    finally:
        file.close()


def open_dataset(path: Path, **open_options: Any) -> Any:
    """The rasterio dataset of `path`, open for reading; the caller closes it. Raises as `opened` does."""
    refuse_unopenable(path)
    try:
        with _warnings_lock, warnings.catch_warnings(), rasterio.Env(**CAREFUL):
            # A plain PNG without georeferencing is a supported case, not an accident.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # One handle a reader: GDAL's datasets must not be shared between threads.
            file = rasterio.open(path, sharing=False, **open_options)
    except (RasterioIOError, RasterioError) as error:
        raise SourceError(
            f"{path}: not an image that can be read ({reason(error)}); give {FORMATS}"
        ) from error
    if file.count == 0:
        file.close()
        raise SourceError(
            f"{path}: a container without bands of its own; convert the wanted layer to a GeoTIFF first"
        )
    return file


def refuse_unopenable(path: Path) -> None:
    """Refuse what GDAL would only call "not recognized".

    Raises:
        SourceError: the file is missing, a folder, or empty.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        what = "no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise SourceError(f"{path}: {what}; check the path") from error
    if path.is_dir():
        raise SourceError(
            f"{path}: this folder holds no raster to read; put {FORMATS} files in it, or name files"
        )
    if size == 0:
        raise SourceError(f"{path}: the file is empty (0 bytes); copy or export it again")


def reason(error: BaseException) -> str:
    """GDAL's own words for a rasterio error, on one line: rasterio keeps the telling part in the cause."""
    words = str(error.__cause__ or error).strip()
    return " ".join(words.split()).rstrip(".")
