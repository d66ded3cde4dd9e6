"""Polygons into files: against one call of pyogrio with all rows, and with their number."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.vector import FORMATS, FeatureTable, Layer, Regions, feature_tables, write_tables
from tests.benchmarks.apart import apart
from tests.benchmarks.clock import Clock

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
            once = _by_pyogrio(folder / f"once.{suffix}", rows, first)
            line += f"; against one call of pyogrio {cpu[0] / once['cpu']:.2f}"
        print(line, flush=True)


def writing_many(folder: Path) -> None:
    """A million squares and ten millions into files, against one call of pyogrio with the first."""
    measure(folder, 1_000_000)


def measure(folder: Path, count: int) -> None:
    """Print what `count` squares and ten times as many take, without making their features.

    Each file is written in a process of its own.
    """
    made = [apart(_made, each) for each in (count, 10 * count)]
    once = apart(_all_by_pyogrio, folder / "once.gpkg", count)
    print(f"one call of pyogrio, GeoPackage: {once}; features alone: {made}", flush=True)
    for suffix in ("gpkg", "fgb", "parquet"):
        few, many = (
            apart(_written, folder / f"squares.{suffix}", each) for each in (count, 10 * count)
        )
        seconds = [each["cpu"] - of["cpu"] for each, of in zip((few, many), made, strict=True)]
        alone, whole = seconds[1] / seconds[0] / 10, many["cpu"] / few["cpu"] / 10
        line = f"{suffix}: {few}, {many}; 10 times the rows {alone:.2f} times 10 times the CPU time"
        line += f", with their features {whole:.2f}"
        if suffix == "gpkg":
            line += f"; against one call of pyogrio {seconds[0] / once['cpu']:.2f}"
        print(line, flush=True)


def _made(count: int) -> dict[str, float]:
    """The features alone, as they come."""
    with Clock() as clock:
        for _ in feature_tables(_layer(count)):
            pass
    return clock.result()


def _written(path: Path, count: int) -> dict[str, float]:
    layer = _layer(count)
    with Clock() as clock:
        write_tables([(layer, feature_tables(layer))], {path: "key"})
    path.unlink()
    return clock.result()


def _all_by_pyogrio(path: Path, count: int) -> dict[str, float]:
    layer = _layer(count)
    return _by_pyogrio(path, layer, list(feature_tables(layer)))


def _by_pyogrio(path: Path, layer: Layer, tables: Sequence[FeatureTable]) -> dict[str, float]:
    columns = [table.columns(layer) for table in tables]
    names = list(columns[0])
    values = [np.concatenate([each[name] for each in columns]) for name in names]
    outlines = np.concatenate([table.geometry for table in tables])
    driver = _BY_PYOGRIO[path.suffix[1:]]
    options = {"driver": driver, "geometry_type": "Polygon", "crs": "EPSG:32632"}
    with Clock() as clock:
        pyogrio.raw.write(path, outlines, values, names, **options)
    path.unlink()
    return clock.result()
