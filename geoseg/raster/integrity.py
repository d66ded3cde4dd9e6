"""Is a file on disk whole? TIFF says where each block lies, JPEG has an end mark."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.errors import SourceError
from geoseg.remote import RemotePath
from geoseg.remote_look import last_look
from geoseg.warned import hear_warnings


def refuse_cut_short(path: Path, file: Any) -> None:
    """Refuse a TIFF whose last block lies beyond its end, and a JPEG without an end mark.

    Done before any work is spent on the file. GDAL fills what a JPEG lacks with grey, and only
    warns.

    Raises:
        SourceError: the file is cut short.
    """
    if file.driver == "JPEG" and not _has_jpeg_end(path.read_bytes()):
        raise SourceError(
            f"{path}: the file is cut short (its end mark is missing); copy or export it again"
        )
    if file.driver == "GTiff":
        rows, cols = file.block_shapes[-1]
        last_row, last_col = (file.height - 1) // rows, (file.width - 1) // cols
        end = _block_end(file, last_row, last_col, band=file.count)
        size = last_look(path).size if isinstance(path, RemotePath) else path.stat().st_size
        if size is not None and end > size:
            raise SourceError(
                f"{path}: the file is cut short ({size} bytes, its last block ends at {end}); "
                "copy or export it again"
            )


def is_whole_cog(path: Path, block: int) -> bool:
    """Whether every tile of every level lies within the file, and the ``.aux.xml`` is complete.

    Where the disk is full, GDAL may lose the last bytes without reporting it.

    Args:
        path: the Cloud-Optimized GeoTIFF.
        block: side of its tiles.
    """
    size = path.stat().st_size
    sidecar = path.with_name(f"{path.name}.aux.xml")
    if sidecar.exists() and not sidecar.read_text(encoding="utf-8").rstrip().endswith(">"):
        return False
    try:
        # Where it lies is not asked: to find out takes GDAL four times as long as all else.
        with (
            hear_warnings(NotGeoreferencedWarning),
            rasterio.open(path, driver="GTiff", GEOREF_SOURCES="NONE") as file,
        ):
            return all(0 < end <= size for end in _tile_ends(file, block))
    except RasterioError:
        return False


def _tile_ends(file: Any, block: int) -> Iterator[int]:
    """Where each tile of each level ends in the file; 0 for a tile that is missing."""
    height, width = file.shape
    for level in (None, *range(len(file.overviews(1)))):
        for row, col in itertools.product(range(-(-height // block)), range(-(-width // block))):
            yield _block_end(file, row, col, band=1, overview=level)
        height, width = -(-height // 2), -(-width // 2)


def _block_end(file: Any, row: int, col: int, *, band: int, overview: int | None = None) -> int:
    """The byte after a block of a TIFF; 0 where the block was never written."""
    place = {"dm": "TIFF", "bidx": band} | ({} if overview is None else {"ovr": overview})
    offset = file.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", **place)
    length = file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", **place)
    return int(offset) + int(length) if offset and length else 0


def _has_jpeg_end(data: bytes) -> bool:
    """Whether the end mark comes after the pixels; a thumbnail in the header has its own."""
    at = 2
    # ITU T.81, B.1.1: marked segments, each with its length, up to the start of the scan (FF DA).
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return b"\xff\xd9" in data[at:]
