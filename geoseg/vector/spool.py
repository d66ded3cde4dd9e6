"""What the tasks of one raster's polygons leave for one another on disk.

    features    finished rows in their order, a few thousand at a time
    pieces      an area as `join_area` returns it: regions that may continue beyond its sides

Both are ZIP files of numpy arrays, whose checksums are verified as they are read. Nothing in them
is compressed: to deflate outlines takes a fifth of the time that it takes to make them.
"""

from __future__ import annotations

import io
import itertools
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.files import replace_file
from geoseg.vector.features import FeatureTable
from geoseg.vector.open_regions import closed_regions
from geoseg.vector.outlines import Corners
from geoseg.vector.part_regions import PartRegions, Side

_ROWS = 4096
"""Features that are read at a time."""
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile)
"""What reading a damaged file raises."""


class Spool(NamedTuple):
    """A file of features."""

    path: Path
    start: int
    """No last corner in it is less."""


def write_features(path: Path, tables: Iterable[FeatureTable]) -> None:
    """Write rows as they come; an existing file is replaced when all are written.

    Args:
        path: of the file.
        tables: in the order of their last corners.

    Raises:
        OutputError: the file cannot be written.
    """
    with replace_file(path) as built, zipfile.ZipFile(built, "w") as file:
        for table in tables:
            for first in range(0, len(table), _ROWS):
                rows = table.chosen(slice(first, first + _ROWS))
                sizes = np.array([len(each) for each in rows.geometry])
                outlines = np.frombuffer(b"".join(rows.geometry), np.uint8)
                others = [getattr(rows, each.name) for each in fields(rows)[1:]]
                _add(file, [sizes, outlines, *others])


def merged_features(spools: Iterable[Spool]) -> Iterator[FeatureTable]:
    """The rows of several files in the order of their last corners, some at a time.

    Memory holds some thousand rows of each file whose rows have begun and not ended.

    Raises:
        SourceError: a file is missing or damaged.
    """
    upcoming = sorted(spools, key=lambda spool: spool.start, reverse=True)
    begun: list[tuple[FeatureTable, Iterator[FeatureTable]]] = []

    def begin(tables: Iterator[FeatureTable]) -> None:
        begun.extend((table, tables) for table in itertools.islice(tables, 1))

    while upcoming or begun:
        limit = min((table.last_corner[-1] for table, _ in begun), default=np.int64(0))
        if upcoming and (not begun or upcoming[-1].start <= limit):
            begin(_read_features(upcoming.pop().path))
            continue
        due: list[FeatureTable] = []
        current, begun = begun, []
        for table, tables in current:
            count = int(np.searchsorted(table.last_corner, limit, "right"))
            due.append(table.chosen(slice(count)))
            if count < len(table):
                begun.append((table.chosen(slice(count, None)), tables))
            else:
                begin(tables)
        rows = FeatureTable.joined(due)
        yield rows.chosen(np.argsort(rows.last_corner))


def write_pieces(path: Path, area: PartRegions) -> None:
    """Write an area that has no whole regions left, as `join_area` returns it.

    Raises:
        OutputError: the file cannot be written.
    """
    place = [area.row, area.col, area.height, area.width, area.confidence_sum is not None]
    sums = np.zeros(0, np.int64) if area.confidence_sum is None else area.confidence_sum
    corners = [getattr(area.corners, each.name) for each in fields(area.corners)]
    sides = (area.top, area.bottom, area.left, area.right)
    with replace_file(path) as built, zipfile.ZipFile(built, "w") as file:
        attributes = [np.array(place), area.class_id, area.pixels, sums]
        borders = [side.piece for side in sides] + [side.class_id for side in sides]
        _add(file, [*attributes, np.array(corners, np.int32), *borders])


def read_pieces(path: Path) -> PartRegions:
    """What `write_pieces` wrote.

    Raises:
        SourceError: the file is missing or damaged.
    """
    ((place, class_id, pixels, sums, corners, *borders),) = _read(path)
    row, col, height, width, has_confidence = place.tolist()
    region, corner_row, corner_col, positive = corners.astype(np.int64)
    return PartRegions(
        *(row, col, height, width, closed_regions([]), class_id, pixels),
        *(sums if has_confidence else None, Corners(region, corner_row, corner_col, positive > 0)),
        *map(Side, borders[:4], borders[4:]),
    )


def _read_features(path: Path) -> Iterator[FeatureTable]:
    for sizes, outlines, *others in _read(path):
        ends = np.cumsum(sizes).tolist()
        whole = outlines.tobytes()
        geometry = np.empty(len(ends), object)
        geometry[:] = [whole[start:end] for start, end in itertools.pairwise([0, *ends])]
        yield FeatureTable(geometry, *others)


def _add(file: zipfile.ZipFile, arrays: Sequence[NDArray[Any]]) -> None:
    with file.open(f"{len(file.namelist())}", "w", force_zip64=True) as member:
        for array in arrays:
            npy.write_array(member, array, allow_pickle=False)


def _read(path: Path) -> Iterator[list[NDArray[Any]]]:
    """The arrays of each call of `_add`."""
    try:
        with zipfile.ZipFile(path) as file:
            for info in file.infolist():
                member, arrays = io.BytesIO(file.read(info)), []
                while member.tell() < info.file_size:
                    arrays.append(npy.read_array(member, allow_pickle=False))
                yield arrays
    except _DAMAGED as error:
        raise SourceError(
            f"{path}: polygons of a part of the raster are missing or damaged ({error}); "
            "run the command again, which makes them anew"
        ) from error
