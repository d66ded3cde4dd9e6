"""What a file is by its first bytes, whatever its name: which of GDAL's drivers reads it."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from geoseg.foreign import MOST_XML, read_head, remote_allowed
from geoseg.raster.remote import remote_driver
from geoseg.remote import RemotePath
from geoseg.remote_look import last_look

_TIFF = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
"""Its first bytes, with the order of bytes that they mean; + is BigTIFF."""
_IMAGES = (
    *((start, "GTiff") for start in _TIFF),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"EHFA_HEADER_TAG", "HFA"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
)
_TILE_INDEX = re.compile(r"\.gti\.(gpkg|fgb|parquet)$", re.IGNORECASE)
_METADATA_TAG = 42112
"""GDAL_METADATA: XML in a TIFF."""
_PHOTOMETRIC_TAG = 262
MIN_IS_WHITE, PALETTE = 0, 3
"""TIFF 6.0, PhotometricInterpretation."""


def raster_driver(path: Path, head: bytes | None = None) -> str | None:
    """The GDAL driver that reads a raster; None for what geoseg does not open.

    Args:
        path: the file.
        head: its first bytes, where they are already known.

    Raises:
        OSError: it cannot be read.
        SourceError: likewise, on a server.
    """
    if isinstance(path, RemotePath):
        head = last_look(path).head
        return remote_driver(path) if head is None else image_driver(head)
    head = read_head(path) if head is None else head
    # GDAL looks for these wherever a text begins, also after the first bytes of a picture.
    text = head.split(b"\0", 1)[0]
    if b"<VRTDataset" in text:
        return "VRT"
    if b"<GDALTileIndexDataset" in text or _TILE_INDEX.search(path.name):
        return "GTI"
    if text.lstrip().startswith(b"<GDAL_WMS") and remote_allowed():
        return "WMS"
    return image_driver(head) or ("ENVI" if _has_envi_header(path, text) else None)


def image_driver(head: bytes) -> str | None:
    """The GDAL driver of an image with these first bytes, which holds its pixels itself."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((driver for start, driver in _IMAGES if head.startswith(start)), None)


def _has_envi_header(path: Path, text: bytes) -> bool:
    """Whether raw pixels have ENVI's header beside them; nothing that may be a description."""
    if text.lstrip().startswith((b"<", b"{", b"[")):
        return False
    headers = (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr"))
    return any(header.is_file() and read_head(header, 4) == b"ENVI" for header in headers)


def tiff_metadata(path: Path) -> bytes:
    """The XML that GDAL keeps in a TIFF's first directory; empty where there is none.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        entry = _entry(stream, _METADATA_TAG)
        if entry is None:
            return b""
        stream.seek(min(entry.offset, path.stat().st_size))
        return stream.read(min(entry.length, MOST_XML + 1)).split(b"\0", 1)[0]


def tiff_photometric(path: Path) -> int | None:
    """What the values of a TIFF's first image are, in TIFF's own count: `MIN_IS_WHITE`, ...

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        entry = _entry(stream, _PHOTOMETRIC_TAG)
    return None if entry is None else entry.short


@dataclass(frozen=True, slots=True)
class _Entry:
    length: int
    offset: int
    """Of the values in the file, where they do not fit here."""
    short: int
    """The value, where it is a single number of 16 bits."""


def _entry(stream: BinaryIO, wanted: int) -> _Entry | None:
    """The entry of a tag in a TIFF's first directory; None also where the file ends before."""
    start = stream.read(16)
    order, big = _TIFF[start[:4]], start[2:3] in (b"+", b"\0") and b"+" in start[2:4]
    count_format, entry_format = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    offset_format = "Q" if big else "I"
    at = struct.unpack_from(order + offset_format, start.ljust(16, b"\0"), 8 if big else 4)
    stream.seek(min(at[0], os.fstat(stream.fileno()).st_size))
    counted = stream.read(struct.calcsize(order + count_format))
    if len(counted) < struct.calcsize(order + count_format):
        return None  # no directory: GDAL says so
    entries = min(struct.unpack(order + count_format, counted)[0], 65_535)
    size = struct.calcsize(order + entry_format)
    table = stream.read(entries * size)
    table = table[: len(table) // size * size]
    for tag, _, length, value in struct.iter_unpack(order + entry_format, table):
        if tag == wanted:
            (offset,) = struct.unpack(order + offset_format, value)
            (short,) = struct.unpack_from(order + "H", value)
            return _Entry(length, offset, short)
    return None
