"""What a raster leads to: the files that GDAL would open with it, found before GDAL opens any.

A VRT names sources, overviews and masks; a tile index (GTI) names tiles; ``.ovr``, ``.msk`` and
``.aux.xml`` beside any image, and metadata inside a TIFF, name more; and so on from each of these.
Local images of the formats in `IMAGES` are followed anywhere. What lies elsewhere needs leave.
Bands of raw bytes and code never run: they read any file, and do anything.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from geoseg.errors import SourceError
from geoseg.foreign import (
    MOST_XML,
    UnsafeXMLError,
    XMLValue,
    is_elsewhere,
    read_head,
    remote_allowed,
    xml_values,
)
from geoseg.raster.content import raster_driver, tiff_metadata
from geoseg.raster.remote import DRIVERS, LEADING_ON
from geoseg.raster.tile_index import is_xml, read_tile_index
from geoseg.remote import RemotePath

_FILES = frozenset({"sourcefilename", "sourcedataset", "dempath", "indexdataset", "dataset"})
"""The elements and attributes that name files to open."""
_TEXTS = re.compile(r"(mdi|item):|@?(srs|geogcs|coordinateoperation|description|category)$")
"""The values that may hold anything: metadata, and the text of coordinate systems."""
_SUBCLASSES = frozenset(
    {"vrtsourcedrasterband", "vrtderivedrasterband", "vrtwarpedrasterband", "vrtwarpeddataset"}
    | {"vrtpansharpenedrasterband", "vrtpansharpeneddataset"}
)
_OPEN_OPTIONS = frozenset({"ooi:overview_level", "ooi:num_threads", "ooi:georef_sources"})
_OVERVIEW_BESIDE = ":::BASE:::"
_SMALL_XML = 2**18
"""Bytes of XML that are remembered."""
_SETTLED = 2 * 10**9
"""Nanoseconds since its last change after which a folder's time would show another one."""
_LISTED = 1000
"""Files of a folder up to which GDAL, too, finds sidecars whatever the case of their names."""


def follow_references(path: Path) -> list[str]:
    """All that GDAL may open with a raster, the raster itself left out; each once.

    Nothing is opened with one on a server or in an archive; its metadata are looked at when it is.

    Raises:
        SourceError: one of them is missing, of a format that is not followed, on a server without
            leave, or not to be trusted.
    """
    if isinstance(path, RemotePath):
        return []
    root = Path(os.path.abspath(path))
    found: dict[str, None] = {}
    pending, folders = [root], _Folders()
    while pending:
        file = pending.pop()
        try:
            names = [*_references_in(file), *folders.sidecars(file)]
            targets = [target for name in names for target in _targets(file, name)]
        except SourceError as error:  # of a tile index
            raise SourceError(str(error) if file == root else f"{path}: {error}") from error
        except (_UnsafeFileError, UnsafeXMLError, OSError) as error:
            raise SourceError(_refusal(path, file, file == root, error)) from error
        for target in targets:
            if target not in found and target != str(root):
                found[target] = None
                if not is_elsewhere(target):
                    pending.append(Path(target))
    return list(found)


def is_in_large_folder(path: Path) -> bool:
    """Whether so many files lie beside one that GDAL gives up listing them."""
    return not _list(Path(os.path.abspath(path)).parent)


class _UnsafeFileError(Exception):
    """What is wrong with a file, and what to do."""


def _refusal(path: Path, file: Path, is_root: bool, error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else error
    advice = ""
    if not isinstance(error, _UnsafeFileError):
        is_extra = _is_aux_xml(file.name)
        advice = "; remove it to continue without" if is_extra else "; export it again"
    return f"{path}: {words}{advice}" if is_root else f"{path}: {file}: {words}{advice}"


def _references_in(file: Path) -> Iterator[str]:
    """The names of files in a file that GDAL opens as a raster, or as a raster's ``.aux.xml``."""
    head = read_head(file)
    driver = raster_driver(file, head)
    if driver == "GTiff":
        metadata = tiff_metadata(file)
        # Most TIFFs have no such names; whatever they hold besides need not be good XML.
        if re.search(rb"(?i)overview_file|_dataset|&#", metadata):
            yield from _names(xml_values(metadata))
    elif driver in ("VRT", "GTI") or _is_aux_xml(file.name):
        if driver != "GTI" or is_xml(file):
            data = read_head(file, MOST_XML + 1)
            yield from _names_in_small(data) if len(data) <= _SMALL_XML else _names_in(data)
        if driver == "GTI":
            yield from read_tile_index(file).locations


def _names_in(data: bytes) -> tuple[str, ...]:
    return tuple(_names(xml_values(data)))


_names_in_small = lru_cache(maxsize=64)(_names_in)
"""Sidecars of many files are alike: each is read, but parsed once."""


def _names(values: Iterable[XMLValue]) -> Iterator[str]:
    for name, text in values:
        _refuse_code(name, text.strip())
        if name.lstrip("@") in _FILES or name.partition(":")[2] in LEADING_ON:
            if "<VRTDataset" in text:  # a VRT within a VRT, as text
                yield from _names(xml_values(text.strip().encode()))
            else:
                yield text
        elif "/vsi" in text.lower() and not _TEXTS.match(name):
            yield text  # whatever GDAL may make of it


def _refuse_code(name: str, text: str) -> None:
    """Refuse what reads raw bytes of any file, runs code, or changes how a file is opened."""
    what, spelled = "", name
    name = name.lstrip("@")
    if name == "subclass" and text.lower() not in _SUBCLASSES:
        what = f"bands of the kind {text}"
    elif name == "pixelfunctioncode" or (name == "pixelfunctionlanguage" and text.lower() != "c"):
        what = "code to run"
    elif name == "sql":
        what = "SQL to run"
    elif name.startswith("ooi:") and name not in _OPEN_OPTIONS:
        what = f"the open option {name.removeprefix('ooi:').upper()}"
    elif spelled in ("name", "key") and text.lower() in LEADING_ON:
        what = f"a hidden {text}"
    if what:
        raise _UnsafeFileError(
            f"holds {what}, which geoseg never follows, as it could read any file or do anything; "
            "if you trust it, convert it to a GeoTIFF with gdal_translate"
        )


def _targets(file: Path, reference: str) -> list[str]:
    """The files that a reference means, checked.

    GDAL takes relative names from the file's folder or from the current one; both are looked at.
    """
    name = reference.removeprefix(_OVERVIEW_BESIDE)
    if is_elsewhere(name):
        if not remote_allowed():
            raise _UnsafeFileError(
                f"refers to {name}, which is not a file on this machine; download or unpack it, "
                "or let files be read from servers with --allow-remote"
            )
        if _remote_driver(name) is None:
            raise _UnsafeFileError(
                f"refers to {name}, which is no image that can be read there, or has files beside "
                "it that are none; download and check it"
            )
        return [name]
    places = dict.fromkeys(
        os.path.abspath(os.path.join(base, text))
        for base in (file.parent, Path())
        for text in (name, name.strip())
    )
    there = [place for place in places if os.path.lexists(place)]
    if not there:
        raise _UnsafeFileError(
            f"refers to {name}, which does not exist; put it there, or export it again"
        )
    for place in there:
        _refuse_no_image(name, Path(place))
    return there


def _refuse_no_image(name: str, place: Path) -> None:
    if not place.is_file():
        raise _UnsafeFileError(f"refers to {name}, which is not a file; name an image")
    if not _is_aux_xml(name) and raster_driver(place) is None:
        raise _UnsafeFileError(
            f"refers to {name}, which is no image that geoseg reads; convert it to a GeoTIFF"
        )


def _is_aux_xml(name: str) -> bool:
    return name.lower().endswith(".aux.xml")


@lru_cache
def _remote_driver(name: str) -> str | None:
    """The format of an image elsewhere; None where it is none, or one that leads to others."""
    for driver in DRIVERS:
        try:
            with rasterio.open(name, driver=driver) as file:
                spaces = file.tag_namespaces()
                keys = {key.lower() for space in spaces for key in file.tags(ns=space)}
        except RasterioError:
            continue
        beside = (name + suffix for suffix in (".ovr", ".msk", ".ovr.msk", ".msk.ovr"))
        return None if keys & LEADING_ON or any(map(_leads_on, beside)) else driver
    return None


def _leads_on(name: str) -> bool:
    """Whether a file beside an image elsewhere is there and is no TIFF: GDAL would follow it."""
    try:
        with rasterio.open(name, driver="GTiff") as file:
            return bool({key.lower() for key in file.tags(ns="OVERVIEWS")} & LEADING_ON)
    except RasterioError as error:
        return "not recognized as being in a supported" in str(error)


class _Folders:
    """The sidecars of files; each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}

    def sidecars(self, file: Path) -> list[str]:
        """The files beside one that GDAL opens with it."""
        if _is_aux_xml(file.name):
            return []
        names = [f"{file.name}{suffix}" for suffix in (".aux.xml", ".ovr", ".msk", ".aux")]
        names.append(f"{file.stem}.aux")
        folder = file.parent
        if folder not in self._names:
            self._names[folder] = _list(folder)
        listed = self._names[folder]
        found = {here for name in names for here in listed.get(name.lower(), [])}
        found |= {name for name in names if (folder / name).exists()}
        # Of files called .aux only those of ERDAS are opened; LaTeX, too, writes such.
        return [
            os.path.abspath(folder / name)
            for name in sorted(found)
            if not name.lower().endswith(".aux") or raster_driver(folder / name) == "HFA"
        ]


def _list(folder: Path) -> dict[str, list[str]]:
    """The names in a folder by their lower case; none where there are very many."""
    changed = folder.stat().st_mtime_ns
    if time.time_ns() - changed < _SETTLED:
        return _list_anew(folder)  # another file might leave the folder's time as it is
    return _listed(folder, changed)


def _list_anew(folder: Path) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count == _LISTED:
                return {}
            names.setdefault(entry.name.lower(), []).append(entry.name)
    return names


@lru_cache(maxsize=16)
def _listed(folder: Path, changed: int) -> dict[str, list[str]]:  # noqa: ARG001
    """What `_list_anew` gives, as long as the folder's time of change stays."""
    return _list_anew(folder)
