"""Whether the files of a shapefile belong together.

GDAL finds the shapes of a ``.shp`` by its ``.shx`` alone, and their attributes in a ``.dbf`` by
their number. With files of another shapefile, or a damaged index, it gives shapes twice, leaves
others out, or gives them the attributes of their neighbours, without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import VectorError

Integers = NDArray[np.int64]

_CODE = b"\0\0\x27\x0a"
"""The first bytes of ``.shp`` and ``.shx``."""
_HEADER = 100
"""Bytes at the start of both."""
_RECORD_HEADER = 8
"""Bytes before each shape: its number and its length."""
_WORD = 2
"""Bytes that lengths and places are counted in."""


class _Entries(NamedTuple):
    """The shapes by the index."""

    start: Integers
    """Where the header of each begins, in bytes of the ``.shp``."""
    length: Integers
    """Bytes after that header."""


def refuse_other_index(path: Path) -> None:
    """Refuse a shapefile whose ``.shx`` or ``.dbf`` is not the one of its ``.shp``.

    Other files pass, and so does a shapefile that lacks one of the two, which GDAL names itself.

    Args:
        path: any vector file.

    Raises:
        VectorError: the index leads elsewhere than to the shapes, or the number of attributes is
            another one.
        OSError: one of the files cannot be read.
    """
    shapes, index = path, _beside(path, ".shx")
    with shapes.open("rb") as stream:
        is_shapefile = stream.read(len(_CODE)) == _CODE
    if not is_shapefile or index is None:
        return
    data = index.read_bytes()
    entries, rows = _entries(data), _rows(path)
    if _length(data) > len(data):
        fault = "it is cut short"
    elif rows not in (None, len(entries.start)):
        fault = f"it lists {len(entries.start)} shapes, the .dbf has {rows} rows"
    else:
        fault = _fault(np.memmap(shapes, np.uint8, "r"), entries)
    if fault:
        raise VectorError(
            f"{path}: its .shx belongs to another file or is damaged ({fault}); remove it, and "
            f"save the shapes anew (ogr2ogr --config SHAPE_RESTORE_SHX YES {path.stem}.gpkg "
            f"{path.name})"
        )


def _length(index: bytes) -> int:
    """Bytes that an index says it has; GDAL reads no more of it."""
    return int.from_bytes(index[24:28]) * _WORD


def _entries(index: bytes) -> _Entries:
    """ESRI Shapefile Technical Description, "Organization of the Index File"."""
    used = index[_HEADER : _length(index)]
    pairs = np.frombuffer(used, ">i4", len(used) // 8 * 2)
    start, length = pairs.reshape(-1, 2).T.astype(np.int64) * _WORD
    return _Entries(start, length)


def _fault(shapes: NDArray[np.uint8], entries: _Entries) -> str:
    """What of an index does not fit the shapes, in a few words; empty where all does."""
    start, length = entries
    end = start + _RECORD_HEADER + length
    if (start < _HEADER).any() or (length < 0).any() or (end > len(shapes)).any():
        return "it leads out of the file"
    order = np.argsort(start, kind="stable")
    if (start[order][1:] < end[order][:-1]).any():
        return "it leads to the same bytes twice"
    heads = shapes[start[:, None] + np.arange(_RECORD_HEADER)].copy().view(">i4").astype(np.int64)
    number = heads[:, 0] - np.arange(len(heads))
    if (heads[:, 1] * _WORD != length).any() or (number != number[:1]).any():
        return "no shape begins where it says"
    return ""


def _rows(path: Path) -> int | None:
    """How many rows the ``.dbf`` says that it has; None without one."""
    table = _beside(path, ".dbf")
    if table is None:
        return None
    with table.open("rb") as stream:
        return int.from_bytes(stream.read(8)[4:], "little")


def _beside(path: Path, suffix: str) -> Path | None:
    """The file of the same stem, whatever the case of its suffix."""
    names = (path.with_suffix(suffix), path.with_suffix(suffix.upper()))
    return next((name for name in names if name.is_file()), None)
