"""What each class covers on a sheet: counted where pixels are of one size, else measured."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.classes import UNCERTAIN
from geoseg.copies import local_copy
from geoseg.inference.area_table import ClassAreas
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.outputs import Output
from geoseg.inference.stories import Stage, Task
from geoseg.inference.zones import Zones, measure_zones
from geoseg.raster import GDAL_CACHE_BYTES, open_raster, place_of
from geoseg.raster.part import BLOCK
from geoseg.raster.pieces import Pieces
from geoseg.tiling import Window
from geoseg.vector import PixelAreas

_PIECES = Pieces(2**20, BLOCK, down_first=False)
"""Whole tiles, measured at once."""


def tell_areas(
    sheet: Sheet,
    classes: Sequence[Output],
    counts: Sequence[NDArray[np.int64]],
    zones: Zones | None = None,
) -> Generator[Stage, list[Any], list[ClassAreas]]:
    """What the classes cover in each class raster of a sheet, whose files are complete.

    Pixels of one size are counted already; others are measured where they lie.

    Args:
        sheet: the raster.
        classes: its class rasters.
        counts: pixels of each code in each of them.
        zones: polygons, in each of which the classes are measured too.
    """
    sizes, source = _pixel_areas(sheet), sheet.folder.source
    units: list[NDArray[np.int64]] = list(counts)
    files = [(number, area) for number, each in enumerate(classes) for area in each.areas(source)]
    if sizes.ellipsoid is not None:
        tasks = [Task(measure_raster, (sheet, classes[number], area)) for number, area in files]
        units = [np.zeros(256, np.int64) for _ in classes]
        for (number, _), measured in zip(files, (yield Stage("files", tasks)), strict=True):
            units[number] += measured
    codes = [*range(sheet.folder.classes), UNCERTAIN]
    areas = [
        ClassAreas(output.path, pixels[codes], np.float64(sizes.unit) * measured[codes])
        for output, pixels, measured in zip(classes, counts, units, strict=True)
    ]
    if zones is not None:
        tasks = [Task(measure_zones, (sheet, classes[n], area, zones)) for n, area in files]
        for covered in (yield Stage("files", tasks)):
            areas += [ClassAreas(None, pixels, metres, zone) for zone, pixels, metres in covered]
    return areas


def measure_raster(
    process: Process,  # noqa: ARG001
    sheet: Sheet,
    output: Output,
    area: Window,
) -> NDArray[np.int64]:
    """What each code covers in a file of a class raster, in units of `PixelAreas`.

    Raises:
        SourceError: it cannot be read.
    """
    sizes, found = _pixel_areas(sheet), np.zeros(256, np.int64)
    shown = sheet.folder.source.shown
    place = area.moved(-shown.row, -shown.col)
    with (
        rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES),
        local_copy(output.file(area)) as file,
        open_raster(file).open() as reader,
    ):
        whole = Window(0, 0, reader.height, reader.width)
        for piece in _PIECES.cut(whole):
            labels, _ = reader.read(*astuple(piece))
            weights = sizes.weights(piece.moved(place.row, place.col))
            np.add.at(found, labels[0].ravel(), 1 if weights is None else weights.ravel())
    return found


def _pixel_areas(sheet: Sheet) -> PixelAreas:
    source, shown = sheet.folder.source.target, sheet.folder.source.shown
    transform = place_of(source.transform, shown)
    return PixelAreas.of(transform, source.crs, shown.height, shown.width)
