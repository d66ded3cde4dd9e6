"""What each class covers in each polygon of a file, exact at its borders.

A pixel that a border crosses counts by the share of it that lies inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray

from geoseg.classes import UNCERTAIN
from geoseg.copies import local_copy
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.outputs import Output
from geoseg.inference.zone_file import check_zones
from geoseg.places import AnyPath
from geoseg.raster import GDAL_CACHE_BYTES, open_raster, place_of
from geoseg.raster.stored import Reference, read_source, write_source
from geoseg.tiling import Window
from geoseg.vector import Features, Grid, PixelAreas, place

_CHUNK_PIXELS = 2**20
"""Pixels measured at once."""
ZoneAreas = tuple[int, NDArray[np.float64], NDArray[np.float64]]
"""The number of a polygon, from 1; pixels and square metres of each class, uncertain last."""
Zones = Features | Reference
"""The polygons of a file that workers need not see, or where they lie in the work folder."""


def shared_zones(path: str | None, work: AnyPath) -> Zones | None:
    """The polygons of a file, for tasks anywhere.

    Args:
        path: of the file; None: there are none.
        work: folder of the run, which all workers see.

    Raises:
        ConfigError: the file cannot be used.
        OutputError: the folder cannot be written.
    """
    if path is None:
        return None
    features = check_zones(path)
    return write_source(features, work) or features


def measure_zones(
    process: Process,  # noqa: ARG001
    sheet: Sheet,
    output: Output,
    area: Window,
    zones: Zones,
) -> list[ZoneAreas]:
    """What each class covers of the polygons that lie on a file of a class raster.

    Raises:
        SourceError: it cannot be read.
        VectorError: the polygons cannot be brought onto the raster.
    """
    source = sheet.folder.source
    if source.crs is None:
        return []
    features: Features = read_source(zones) if isinstance(zones, Reference) else zones
    shown = source.extent
    grid = (place_of(source.transform, shown), source.crs, shown.height, shown.width)
    placed = place(features, Grid.of(*grid))
    sizes, corner, count = PixelAreas.of(*grid), sheet.on_extent(area), sheet.folder.classes
    found: dict[int, NDArray[np.float64]] = {}
    tree = shapely.STRtree(placed.polygons)
    with (
        rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES),
        local_copy(output.file(area)) as file,
        open_raster(file).open() as reader,
    ):
        rows = max(1, _CHUNK_PIXELS // reader.width)
        for row in range(0, reader.height, rows):
            height = min(rows, reader.height - row)
            strip = Window(corner.row + row, corner.col, height, reader.width)
            box = shapely.box(strip.col, strip.row, strip.col_end, strip.row_end)
            hits = np.sort(tree.query(box, predicate="intersects"))
            if not hits.size:
                continue
            labels = reader.read(row, 0, height, reader.width)[0][0]
            weights = sizes.weights(strip)
            units = np.ones(labels.shape) if weights is None else weights.astype(np.float64)
            polygons = placed.polygons[hits]
            for hit, sums in zip(
                hits, _covered(labels, units, polygons, strip, count), strict=True
            ):
                number = int(placed.feature[hit]) + 1
                found[number] = found.get(number, np.zeros((2, count + 1))) + sums
    return [(number, sums[0], sums[1] * sizes.unit) for number, sums in sorted(found.items())]


def _covered(
    labels: NDArray[np.uint8],
    units: NDArray[np.float64],
    polygons: NDArray[np.object_],
    window: Window,
    count: int,
) -> list[NDArray[np.float64]]:
    """``(2, classes + 1)`` pixels and units of each class inside each polygon."""
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    # The tool's y points up.
    bounds = (window.col, -window.row_end, window.col_end, -window.row)
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(upright)}
        for upright in shapely.transform(polygons, lambda points: points * (1, -1))
    ]
    results: list[dict[str, Any]] = exact_extract(
        NumPyRasterSource(labels.astype(np.int32), *bounds),
        features,
        ["values", "coverage", "weights"],
        weights=NumPyRasterSource(units, *bounds),
    )
    covered = []
    for result in results:
        values = result["properties"]
        codes = np.where(values["values"] == UNCERTAIN, count, values["values"])
        known = codes <= count
        shares, weights = values["coverage"][known], values["weights"][known]
        pixels = np.bincount(codes[known], shares, count + 1)
        metres = np.bincount(codes[known], shares * weights, count + 1)
        covered.append(np.stack([pixels, metres]).astype(np.float64))
    return covered
