"""Parts of a class raster without the regions that are too small: three stages of small tasks.

    graph_area      of some parts: their regions and borders, as far as they may matter
    absorb_regions  of all areas: which class each small region gets
    clean_area      of some parts: the same with these classes, beside them under another kind

The areas are the lowest of `area_tree`. The one task in the middle holds the small regions of the
whole raster and their neighbours: some 300 bytes for each.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.inference.areas import area_tree
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.stories import Task
from geoseg.raster import GDAL_CACHE_BYTES, Part, read_part, write_part
from geoseg.tiling import Block, Window
from geoseg.vector import (
    absorb_areas,
    clean_labels,
    find_graph,
    graph_arrays,
    graph_of_arrays,
    join_graphs,
    read_arrays,
    write_arrays,
)


def cleaning_stages(sheet: Sheet, blocks: Sequence[Block]) -> list[list[Task]]:
    """The tasks that write the cleaned parts of a raster: those of a stage need all before it.

    Each returns the seconds that it took.
    """
    if sheet.cleaning.min_area is None:
        return []
    areas = range(len(area_tree(blocks, sheet.area)[0]))
    return [
        [Task(graph_area, (sheet, index)) for index in areas],
        [Task(absorb_regions, (sheet,))],
        [Task(clean_area, (sheet, index)) for index in areas],
    ]


def graph_area(process: Process, sheet: Sheet, index: int) -> float:
    """Write the graph of an area's regions, and where the regions of its parts are in it.

    Raises:
        OutputError: the file cannot be written.
        PartError: a part is missing or damaged, or its file is another part.
    """
    started = time.perf_counter()
    shown, limit = sheet.folder.source.extent, sheet.limit(process.classes)
    area, parts = _area(sheet, index, "classes")
    graphs = []
    for part in parts:
        labels = _read(process, part)
        window = sheet.on_extent(Window(part.row, part.col, part.height, part.width))
        place = (window.row, window.col)
        graphs.append(find_graph(labels, limit.weights(window), *place, limit)[1])
    graph, numbers = join_graphs(graphs, sheet.on_extent(area), (shown.height, shown.width), limit)
    with sheet.folder.writing():
        write_arrays(sheet.area_file(0, index, "graph"), [graph_arrays(graph)])
        write_arrays(sheet.area_file(0, index, "regions"), ([each] for each in numbers))
    return time.perf_counter() - started


def absorb_regions(process: Process, sheet: Sheet) -> float:
    """Write the classes of the regions in the graph of each area, for `clean_area`.

    Raises:
        OutputError: a file cannot be written.
        SourceError: what another task has left is missing or damaged.
    """
    started = time.perf_counter()
    shown = sheet.folder.source.extent
    areas = range(len(area_tree(sheet.blocks(), sheet.area)[0]))
    graphs = [
        graph_of_arrays(arrays)
        for index in areas
        for arrays in read_arrays(sheet.area_file(0, index, "graph"))
    ]
    shape = (shown.height, shown.width)
    classes = absorb_areas(graphs, shape, sheet.limit(process.classes))
    with sheet.folder.writing():
        for index, class_id in zip(areas, classes, strict=True):
            write_arrays(sheet.area_file(0, index, "classes"), [[class_id]])
    return time.perf_counter() - started


def clean_area(process: Process, sheet: Sheet, index: int) -> float:
    """Write the parts of an area with the classes that its regions got.

    Raises:
        OutputError: a part cannot be written.
        PartError: a part is missing or damaged, or its file is another part.
        SourceError: what another task has left is missing or damaged.
    """
    started = time.perf_counter()
    numbers = read_arrays(sheet.area_file(0, index, "regions"))
    ((class_id,),) = read_arrays(sheet.area_file(0, index, "classes"))
    parts, cleaned = (_area(sheet, index, kind)[1] for kind in ("classes", "cleaned"))
    for part, out, (number,) in zip(parts, cleaned, numbers, strict=True):
        labels = clean_labels(_read(process, part), number, class_id)
        with sheet.folder.writing():
            write_part(out, labels)
    return time.perf_counter() - started


def _area(sheet: Sheet, index: int, kind: str) -> tuple[Window, list[Part]]:
    """One of the lowest areas, and its parts of a kind from top to bottom."""
    blocks = sheet.blocks()
    area = area_tree(blocks, sheet.area)[0][index]
    parts = sheet.folder.parts(blocks, kind, area)
    return area, sorted(parts, key=lambda part: (part.row, part.col))


def _read(process: Process, part: Part) -> NDArray[np.uint8]:
    if process.stopped():
        raise KeyboardInterrupt
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        labels: NDArray[np.uint8] = read_part(part)[0]
        return labels
