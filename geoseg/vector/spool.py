"""What the tasks of one raster's polygons leave for one another on disk.

    features    finished rows in their order, a few thousand at a time
    pieces      an area as `join_area` returns it: regions that may continue beyond its sides

Both are files of numpy arrays (`geoseg.vector.array_files`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from geoseg.places import AnyPath
from geoseg.vector.array_files import Arrays, read_arrays, write_arrays
from geoseg.vector.edges import Edges
from geoseg.vector.features import FeatureTable
from geoseg.vector.open_regions import closed_regions
from geoseg.vector.outlines import Corners
from geoseg.vector.part_regions import PartRegions, Side

_ROWS = 4096
"""Features that are read at a time."""


class Spool(NamedTuple):
    """A file of features."""

    path: AnyPath
    start: int
    """No last corner in it is less."""


def write_features(path: AnyPath, tables: Iterable[FeatureTable]) -> None:
    """Write rows as they come; an existing file is replaced when all are written.

    Args:
        path: of the file.
        tables: in the order of their last corners.

    Raises:
        OutputError: the file cannot be written.
    """

    def groups() -> Iterator[Arrays]:
        for table in tables:
            for first in range(0, len(table), _ROWS):
                rows = table.chosen(slice(first, first + _ROWS))
                sizes = np.array([len(each) for each in rows.geometry])
                outlines = np.frombuffer(b"".join(rows.geometry), np.uint8)
                yield [sizes, outlines, *(getattr(rows, each.name) for each in fields(rows)[1:])]

    write_arrays(path, groups())


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


def write_pieces(path: AnyPath, area: PartRegions) -> None:
    """Write an area that has no whole regions left, as `join_area` returns it.

    Raises:
        OutputError: the file cannot be written.
    """
    place = [area.row, area.col, area.height, area.width, area.confidence_sum is not None]
    sums = np.zeros(0, np.int64) if area.confidence_sum is None else area.confidence_sum
    sides = (area.top, area.bottom, area.left, area.right)
    attributes = [np.array(place), area.class_id, area.pixels, sums, area.last]
    borders = [side.piece for side in sides] + [side.class_id for side in sides]
    write_arrays(path, [[*attributes, area.borders.region, area.borders.packed, *borders]])


def read_pieces(path: AnyPath) -> PartRegions:
    """What `write_pieces` wrote.

    Raises:
        SourceError: the file is missing or damaged.
    """
    ((place, class_id, pixels, sums, last, region, packed, *borders),) = read_arrays(path)
    row, col, height, width, has_confidence = place.tolist()
    kind = next(each for each in (Corners, Edges) if len(packed) == each.COLUMNS)
    return PartRegions(
        *(row, col, height, width, closed_regions([], kind), class_id, pixels),
        *(sums if has_confidence else None, last, kind.summed(region, packed)),
        *map(Side, borders[:4], borders[4:]),
    )


def _read_features(path: AnyPath) -> Iterator[FeatureTable]:
    for sizes, outlines, *others in read_arrays(path):
        ends = np.cumsum(sizes).tolist()
        whole = outlines.tobytes()
        geometry = np.empty(len(ends), object)
        geometry[:] = [whole[start:end] for start, end in itertools.pairwise([0, *ends])]
        yield FeatureTable(geometry, *others)
