"""Polygons into files: against one call of pyogrio with all rows, and with their number."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.vector import FORMATS, Layer, Regions, feature_tables, write_tables

_CLASSES = ClassScheme.from_names(["road", "roof", "grass", "tree", "water", "car"])
_BY_PYOGRIO = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "shp": "ESRI Shapefile"}
_AT_A_TIME = 20_000


def _layer(count: int) -> Layer:
    def regions() -> Iterator[Regions]:
        for start in range(0, count, _AT_A_TIME):
            number = np.arange(start, min(start + _AT_A_TIME, count))
            left, top = 5 * (number % 1000), 5 * (number // 1000)
            boxes = shapely.box(left, top, left + 4, top + 4)
            classes = (number % len(_CLASSES)).astype(np.uint8)
            yield Regions(boxes, classes, np.full(number.size, 16), np.full(number.size, 800))

    grid = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
    crs = CRS.from_epsg(32632)
    return Layer("squares", regions(), 5 * (count // 1000 + 1), 5000, grid, crs, _CLASSES)


def writing(folder: Path) -> None:
    """Polygon files: 200,000 and 800,000 squares, and the first as one call of pyogrio."""
    for suffix in FORMATS:
        cpu = []
        for count in (200_000, 800_000):
            layer = _layer(count)
            tables = list(feature_tables(layer))
            path = folder / f"{count}.{suffix}"
            started = time.process_time()
            write_tables([(layer, tables)], {path: "key"})
            cpu.append(time.process_time() - started)
            if count == 200_000:
                first, rows = tables, layer
            path.unlink()
        line = f"{suffix}: {cpu[0]:.2f} s of CPU, 4 times the rows {cpu[1] / cpu[0]:.2f} times"
        if suffix in _BY_PYOGRIO:
            path = folder / f"once.{suffix}"
            columns = [table.columns(rows) for table in first]
            names = list(columns[0])
            values = [np.concatenate([each[name] for each in columns]) for name in names]
            outlines = np.concatenate([table.geometry for table in first])
            started = time.process_time()
            pyogrio.raw.write(
                *(path, outlines, values, names),
                driver=_BY_PYOGRIO[suffix],
                geometry_type="Polygon",
                crs="EPSG:32632",
            )
            line += f"; against one call of pyogrio {cpu[0] / (time.process_time() - started):.2f}"
        print(line, flush=True)
