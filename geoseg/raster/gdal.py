"""Opening and replacing files with GDAL: every failure is one clear line, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio

# `rasterio.shutil` and `WarpedVRT` raise GDAL's errors as they are, and no public module of
# rasterio 1.x names their base class. This is the only place that imports it.
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.errors import SourceError
from geoseg.files import replace_file
from geoseg.foreign import named_elsewhere, without_secrets
from geoseg.listing import list_folder
from geoseg.places import AnyPath
from geoseg.raster.content import raster_driver
from geoseg.raster.path_list import SUFFIXES
from geoseg.raster.references import follow_references, is_in_large_folder
from geoseg.raster.remote import INPUTS, reaching, refuse_leading_on
from geoseg.remote import RemotePath
from geoseg.remote_look import look_again
from geoseg.stores import StorePath
from geoseg.styles import leave_foreign, own_styles
from geoseg.warned import hear_warnings

GDAL_ERRORS: tuple[type[Exception], ...] = (RasterioError, CPLE_BaseError)
"""All that reading or writing with rasterio may raise."""
_METADATA_ERRORS: tuple[type[Exception], ...] = (*GDAL_ERRORS, UnicodeDecodeError)

GDAL_CACHE_BYTES = 64 * 2**20
"""Of decoded blocks; GDAL would take 5 % of the machine's memory in each process."""

FORMATS = "GeoTIFF, COG, VRT, JPEG2000, PNG or JPEG"

CAREFUL = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": False}
"""For opening and for reading: GDAL's quick way through a PNG returns noise where the file is cut
short; the usual way reports it."""
_ASKING = {"GDAL_DISABLE_READDIR_ON_OPEN": True}
"""Sidecars are asked for by name."""


def open_dataset(path: Path, **open_options: Any) -> Any:
    """The rasterio dataset of `path`, open for reading; a context manager that closes it.

    Raises:
        SourceError: the file is missing, a folder, empty, or nothing that GDAL can read; or it
            leads to a file that `follow_references` refuses.
    """
    kept = getattr(_kept, "files", {})
    if open_options or path not in kept:
        return _open(path, **open_options)
    if kept[path] is None:
        kept[path] = _KeptOpen(_open(path))
    return kept[path]


@contextmanager
def opened_once(path: Path) -> Iterator[None]:
    """Open a file once, however often this thread asks for it in the block.

    For looking at a file from several sides: opening it costs more than most of these looks. With
    options it is opened anew.
    """
    files: dict[Path, _KeptOpen | None] = _kept.__dict__.setdefault("files", {})
    if path in files:  # an outer block keeps it
        yield
        return
    files[path] = None
    try:
        yield
    finally:
        kept = files.pop(path)
        if kept is not None:
            kept.file.close()


class _KeptOpen:
    """A dataset that is closed when nobody needs it any more, not by those who have used it."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.file, name)
        # rasterio makes most of them anew, and they are asked for eighty times a file.
        setattr(self, name, value)
        return value

    def __enter__(self) -> _KeptOpen:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        """See `opened_once`."""


_kept = threading.local()
"""Of each thread, the files that `opened_once` keeps open; None before they are opened."""


def _open(path: Path, **open_options: Any) -> Any:
    if isinstance(path, RemotePath):
        return _open_elsewhere(path, **open_options)
    _refuse_unopenable(path)
    driver = _driver_of(path)
    follow_references(path)
    # There GDAL would list a thousand names at each opening, in vain, before it asks for sidecars.
    options = CAREFUL | (_ASKING if is_in_large_folder(path) else {})
    try:
        # A plain PNG without georeferencing is a supported case, not an accident.
        with hear_warnings(NotGeoreferencedWarning), rasterio.Env(**options):
            # A separate handle, for GDAL's datasets belong to one thread at a time.
            return rasterio.open(path, driver=driver, **open_options)
    except RasterioError as error:
        raise SourceError(
            f"{path}: not an image that can be read ({reason(error)}); give {FORMATS}"
        ) from error


def _open_elsewhere(path: RemotePath, **open_options: Any) -> Any:
    look_again(path)
    driver = raster_driver(path)
    if driver not in INPUTS:
        raise SourceError(
            f"{path}: no GeoTIFF, COG, JPEG2000 or PNG, which are what is read on servers and in "
            "archives; download or unpack it"
        )
    try:
        with hear_warnings(NotGeoreferencedWarning), rasterio.Env(**CAREFUL), reaching(path):
            file = rasterio.open(path.gdal, driver=driver, **open_options)
    except RasterioError as error:  # it names the URL, which may be signed
        words = path.hide(reason(error))
        raise SourceError(f"{path}: not an image that can be read ({words})") from None
    try:
        refuse_leading_on(path, file)
    except SourceError:
        file.close()
        raise
    return file


@contextmanager
def reading_metadata(path: Path) -> Iterator[None]:
    """Name the file whose metadata break GDAL or are no text, at whatever question it shows.

    Raises:
        SourceError: they do.
    """
    try:
        yield
    except _METADATA_ERRORS as error:
        if isinstance(path, RemotePath):
            words = path.hide(reason(error))
            raise SourceError(f"{path}: its metadata cannot be read ({words})") from None
        raise SourceError(
            f"{path}: its metadata cannot be read ({reason(error)}); repair them, or remove the "
            ".aux.xml beside it"
        ) from error


def _refuse_unopenable(path: Path) -> None:
    """Refuse what GDAL would only call "not recognized", or fail on."""
    if not _is_text(path):
        raise SourceError(
            f"{path}: this name is not UTF-8, which GDAL needs; rename it, or set LC_ALL=C.UTF-8 "
            "where other programs show it rightly"
        )
    try:
        size = path.stat().st_size
    except OSError as error:
        if line := named_elsewhere(path):
            raise SourceError(line) from error
        what = "no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise SourceError(f"{path}: {what}; check the path") from error
    if path.is_dir():
        _refuse_folder(path)
    if size == 0:
        raise SourceError(f"{path}: the file is empty (0 bytes); copy or export it again")


def _refuse_folder(path: Path) -> None:
    """Refuse a folder in the place of a raster, whether it holds some or not.

    Raises:
        SourceError: always.
    """
    rasters = [each for each in list_folder(path).files if each.suffix.lower() in SUFFIXES]
    if rasters:
        raise SourceError(
            f"{path}: is a folder, and a raster is needed; name those in it, such as {rasters[0]}"
        )
    raise SourceError(
        f"{path}: this folder holds no raster to read; put {FORMATS} files in it, or name files"
    )


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _driver_of(path: Path) -> str:
    """The one driver that may open a file: others would go online, or run what a file says."""
    try:
        driver = raster_driver(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check it") from error
    if driver is None:
        raise SourceError(
            f"{path}: not an image that can be read "
            f"(not recognized as being in a supported file format); give {FORMATS}"
        )
    return driver


@contextmanager
def replace_raster(path: AnyPath, facts: Mapping[str, str] | None = None) -> Iterator[Path]:
    """As `geoseg.files.replace_file`, with GDAL's sidecars and errors, and with styles.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    errors = (*GDAL_ERRORS, OSError)
    with replace_file(path, companions=raster_companions, errors=errors, facts=facts) as built:
        yield built
        leave_foreign(built, path)


def raster_companions(path: AnyPath) -> list[AnyPath]:
    """The files that GDAL takes as part of the raster at `path`, and geoseg's styles of it."""
    plain: list[AnyPath] = [
        path.with_name(path.name + suffix) for suffix in (".aux.xml", ".ovr", ".msk")
    ]
    if isinstance(path, StorePath):
        return plain
    # Of files called .aux only those of ERDAS are a raster's; LaTeX, too, writes such.
    erdas = (path.with_suffix(".aux"), path.with_name(f"{path.name}.aux"))
    found = [file for file in erdas if file.is_file() and raster_driver(file) == "HFA"]
    return [*plain, *found, *own_styles(path)]


def reason(error: BaseException) -> str:
    """GDAL's own words on one line: rasterio keeps the useful part in the cause of its error."""
    words = without_secrets(str(error.__cause__ or error).strip())
    return " ".join(words.split()).rstrip(".")
