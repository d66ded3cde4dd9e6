"""What a vector file is by its first bytes, and under which name GDAL reads it as nothing else."""

from __future__ import annotations

import json
import mmap
import re
from pathlib import Path
from typing import Any

from geoseg.errors import VectorError
from geoseg.foreign import read_head, remote_allowed

_GEOPACKAGE, _SHAPEFILE, _FLATGEOBUF = b"SQLite format 3\0", b"\0\0\x27\x0a", b"fgb\x03"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _in_any_spelling(word: str) -> str:
    """A pattern of a word in JSON, where any letter may be written by its number."""
    codes = [{f"{ord(case):02x}" for case in (letter, letter.upper())} for letter in word]
    return "".join(
        rf"(?:{letter}|\\u00(?:{'|'.join(sorted(numbers))}))"
        for letter, numbers in zip(word, codes, strict=True)
    )


_LINK = re.compile(
    rf"""["'](?:{_in_any_spelling("href")}|{_in_any_spelling("url")})["']""".encode(), re.IGNORECASE
)


def vector_name(path: Path, link: Path | None = None) -> str:
    """The name under which GDAL reads a file of polygons, and cannot take it for anything else.

    Other formats name servers, run queries or programs.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or FlatGeobuf.
        link: what to read in its place.

    Raises:
        VectorError: it is missing or none of these, or leads to a server.
    """
    try:
        head = read_head(path)
    except OSError as error:
        raise VectorError(
            f"{path}: no polygons that can be read ({error.strerror}); give GeoPackage or GeoJSON"
        ) from error
    if head.startswith((_GEOPACKAGE, _SHAPEFILE, _FLATGEOBUF)):
        return str(link or path)
    if head.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        if not remote_allowed():
            _refuse_linked_crs(path)
        return f"GeoJSON:{link or path}"
    raise VectorError(
        f"{path}: no polygons that can be read (it begins like no GeoPackage, Shapefile, GeoJSON "
        "or FlatGeobuf); give GeoPackage or GeoJSON"
    )


def _refuse_linked_crs(path: Path) -> None:
    """Refuse GeoJSON whose coordinate system is to be fetched from a server.

    The whole file is only parsed where it holds a link at all.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if not _LINK.search(text):
            return
        try:
            linked = _has_linked_crs(bytes(text).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise VectorError(
                f"{path}: is not readable JSON ({error}); save it as a GeoPackage"
            ) from error
    if linked:
        raise VectorError(
            f"{path}: its coordinate system is a link to a server; name it by an EPSG code, "
            "or let files be read from servers with --allow-remote"
        )


def _has_linked_crs(text: str) -> bool:
    found = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = {name.casefold() for name, _ in pairs}
        kinds = {str(value).casefold() for name, value in pairs if name.casefold() == "type"}
        found.append("properties" in names and bool(kinds & {"link", "url"}))

    json.loads(text, object_pairs_hook=look)
    return any(found)
