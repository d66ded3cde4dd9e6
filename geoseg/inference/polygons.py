"""The polygons of a raster, made where its parts are: a tree of small tasks.

    parts . . . . . .
    areas |. . .|. . .|     polygonize_area   of some parts: regions inside the area are finished
    tree  |. . . . . .|     join_areas        of some areas: so are those that it closes
    file                    write_joined      all that is finished, in the order of the file

What is finished goes into a spool beside the parts (`geoseg.vector.spool`), with all attributes;
of the rest, the pieces at the area's border are left for the next task. So no task holds the
polygons of a raster, however large it is. A raster of one area is one task, without spools.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import rasterio

from geoseg.classes import NODATA
from geoseg.inference.areas import area_tree, cell_tree, cells_of
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.outputs import Output, vector_layer, write_vectors
from geoseg.inference.stories import Task
from geoseg.raster import GDAL_CACHE_BYTES, Part, read_part, read_window
from geoseg.tiling import Block, Window
from geoseg.vector import (
    CELL,
    FeatureTable,
    Layer,
    PartRegions,
    Regions,
    Spool,
    feature_tables,
    join_area,
    join_parts,
    merged_features,
    polygonize_part,
    read_pieces,
    simplified_part,
    write_features,
    write_pieces,
)


def polygon_stages(
    sheet: Sheet, blocks: Sequence[Block], outputs: Sequence[Output]
) -> list[list[Task]]:
    """The tasks that make the polygon files of a raster: those of a stage need all before it.

    Each returns the seconds that it took.

    Args:
        sheet: the raster.
        blocks: of its plan.
        outputs: the polygon files.
    """
    tree = _tree(sheet, blocks)
    if not outputs:
        return []
    if len(tree) == 1:
        return [[Task(make_polygons, (sheet, tuple(outputs)))]]
    leaves = [Task(polygonize_area, (sheet, index)) for index in range(len(tree[0]))]
    joins = [
        [Task(join_areas, (sheet, level, index)) for index in range(len(tree[level]))]
        for level in range(1, len(tree))
    ]
    files = [Task(write_joined, (sheet, output)) for output in outputs]
    return [leaves, *joins, files]


def make_polygons(process: Process, sheet: Sheet, outputs: Sequence[Output]) -> float:
    """Turn the parts of a small raster into the polygon files.

    Raises:
        OutputError: a file cannot be written, or passes its format's limits.
        PartError: a part is missing or damaged, or its file is another part.
    """
    clock = _Clock()
    source = sheet.folder.source
    blocks = sheet.blocks()
    area = _tree(sheet, blocks)[-1][0]
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        pieces = _pieces(process, sheet, blocks, area, process.threads, clock)
        with closing(pieces):
            regions = join_parts(pieces, source.extent.height, source.extent.width)
            layer = _layer(process, sheet, outputs[0].path.stem, regions)
            write_vectors(outputs, layer, feature_tables(layer))
    return clock.seconds


def polygonize_area(process: Process, sheet: Sheet, index: int) -> float:
    """Finish the regions inside an area, and leave the pieces at its border.

    Args:
        process: where it runs.
        sheet: the raster.
        index: of the area among those that hold parts.

    Raises:
        OutputError: a spool cannot be written.
        PartError: a part is missing or damaged, or its file is another part.
    """
    clock = _Clock()
    blocks = sheet.blocks()
    area = _tree(sheet, blocks)[0][index]
    # One part at a time: the areas of a raster are made at the same time.
    pieces = _pieces(process, sheet, blocks, area, 1, clock)
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), closing(pieces):
        _join(process, sheet, sheet.on_extent(area), (0, index), pieces)
    return clock.seconds


class _Clock:
    """What a task takes, but for the time in which it waits for parts."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def wait_for(self, part: Part) -> None:
        """Wait until a part is there."""
        before = time.perf_counter()
        part.wait()
        self._started += time.perf_counter() - before


def join_areas(process: Process, sheet: Sheet, level: int, index: int) -> float:
    """Finish the regions that the areas below one share, and leave the pieces at its border.

    Raises:
        OutputError: a spool cannot be written.
        SourceError: what a task below has left is missing or damaged.
    """
    started = time.perf_counter()
    tree = _tree(sheet)
    area = tree[level][index]
    below = (
        read_pieces(sheet.area_file(level - 1, number, "pieces"))
        for number, part in enumerate(tree[level - 1])
        if area.intersect(part)
    )
    _join(process, sheet, sheet.on_extent(area), (level, index), below)
    return time.perf_counter() - started


def _join(
    process: Process,
    sheet: Sheet,
    area: Window,
    place: tuple[int, int],
    parts: Iterable[PartRegions],
) -> None:
    source = sheet.folder.source

    def regions() -> Iterator[Regions]:
        height, width = source.extent.height, source.extent.width
        rest = yield from join_area(parts, area, height, width)
        write_pieces(sheet.area_file(*place, "pieces"), rest)

    layer = _layer(process, sheet, source.path.stem, regions())
    with sheet.folder.writing():
        write_features(sheet.area_file(*place, "features"), feature_tables(layer))


def write_joined(process: Process, sheet: Sheet, output: Output) -> float:
    """Write all that is finished of a raster into a polygon file.

    Raises:
        OutputError: the file cannot be written, or passes its format's limits.
        SourceError: what another task has left is missing or damaged.
    """
    started = time.perf_counter()
    source = sheet.folder.source
    across = source.extent.width + 1
    spools = [
        # An area holds no corner above its first row.
        Spool(sheet.area_file(level, number, "features"), sheet.on_extent(area).row * across)
        for level, areas in enumerate(_tree(sheet))
        for number, area in enumerate(areas)
    ]

    def tables() -> Iterator[FeatureTable]:
        for table in merged_features(spools):
            if process.stopped():
                raise KeyboardInterrupt
            yield table

    layer = _layer(process, sheet, output.path.stem, ())
    write_vectors([output], layer, tables())
    return time.perf_counter() - started


def _layer(process: Process, sheet: Sheet, name: str, regions: Iterable[Regions]) -> Layer:
    return vector_layer(name, sheet.folder.source, process.classes, regions, sheet.attributes)


def _tree(sheet: Sheet, blocks: Sequence[Block] | None = None) -> list[list[Window]]:
    """The areas of a raster: of parts, or where they are cleaned, of cells."""
    if not sheet.cleaning.in_cells:
        return area_tree(sheet.blocks() if blocks is None else blocks, sheet.area)
    return cell_tree(sheet.folder.source.extent, CELL, sheet.area)


def _pieces(
    process: Process,
    sheet: Sheet,
    blocks: Sequence[Block],
    area: Window,
    threads: int,
    clock: _Clock,
) -> Generator[PartRegions, None, None]:
    """The polygons of what lies in an area, part by part or cell by cell."""
    if not sheet.cleaning.in_cells:
        parts = _parts(sheet, blocks, area)
        made = polygonize_parts(parts, threads, process.stopped, sheet.origin)
        with closing(made):
            for part, _ in parts:
                clock.wait_for(part)
                yield next(made)
        return
    drawing = sheet.drawing(process.classes)
    for cell in cells_of(area, sheet.folder.source.extent, CELL):
        if process.stopped():
            raise KeyboardInterrupt
        labels, confidence = (
            read_window(sheet.folder.parts(blocks, kind), cell, NODATA, margin=margin)
            for kind, margin in ((sheet.labels_kind, 1), ("confidence", 0))
        )
        place = sheet.on_extent(cell)
        yield simplified_part(labels, confidence, place.row, place.col, drawing)


def _parts(sheet: Sheet, blocks: Sequence[Block], area: Window) -> list[tuple[Part, Part]]:
    """Classes and confidence of each part in an area, top to bottom."""
    kinds = (sheet.labels_kind, "confidence")
    pairs = zip(*(sheet.folder.parts(blocks, kind, area) for kind in kinds), strict=True)
    return sorted(pairs, key=lambda pair: (pair[0].row, pair[0].col))


def polygonize_parts(
    parts: Sequence[tuple[Part, Part]],
    threads: int,
    stopped: Callable[[], bool] = lambda: False,
    origin: tuple[int, int] = (0, 0),
) -> Generator[PartRegions, None, None]:
    """The polygons of each part, in their order, made a few parts at a time.

    Their rows and columns are counted from `origin`.
    """

    def polygonize(pair: tuple[Part, Part]) -> PartRegions:
        if stopped():
            raise KeyboardInterrupt
        part, confidence = pair
        place = part.row - origin[0], part.col - origin[1]
        return polygonize_part(read_part(part)[0], read_part(confidence)[0], *place)

    with ThreadPoolExecutor(threads, "geoseg-polygons") as pool:
        for first in range(0, len(parts), threads):
            yield from pool.map(polygonize, parts[first : first + threads])
