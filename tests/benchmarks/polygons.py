"""The polygons of a large raster as a tree of tasks, against the same work as one task.

Each way runs in a process of its own: ``python -m tests.benchmarks.polygons FOLDER SIZE WAY``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from geoseg import scenes
from geoseg.classes import ClassScheme
from geoseg.inference.band import Band
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.outputs import Output
from geoseg.inference.parts import PartFolder
from geoseg.inference.polygons import make_polygons, polygon_stages
from geoseg.inference.probe import peak_memory
from geoseg.inference.slots import ThreadSlots
from geoseg.inference.stories import Stage, Story, tell_stories
from geoseg.raster import open_raster
from geoseg.tiling import TileGrid
from tests.benchmarks.models import CLASSES

_SIDE = 1024
_THREADS = 2
_WAYS = ("one task", "tree")


def polygons(folder: Path) -> None:
    """Polygons of 10,000 x 10,000 pixels classified one by one: a tree of tasks against one."""
    measure(folder, 10_000, 3)


def polygons_large(folder: Path) -> None:
    """The same of 32,768 x 32,768 pixels; takes half an hour."""
    measure(folder, 32_768, 5)


def measure(folder: Path, size: int, cell: int) -> None:
    """Print wall clock, CPU time and peak memory of both ways, on squares of `cell` pixels."""
    _write_parts(folder, size, cell)
    took = {way: _in_process(folder, size, way) for way in _WAYS}
    once, tree = (took[way] for way in _WAYS)
    print(took, flush=True)
    print(
        f"{size}^2, {tree['polygons']:,} polygons: tree against one task: "
        f"wall {tree['wall'] / once['wall']:.2f}, CPU {tree['cpu'] / once['cpu']:.2f}, "
        f"memory {tree['memory'] / once['memory']:.2f}",
        flush=True,
    )


def _in_process(folder: Path, size: int, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.polygons", str(folder), str(size), way]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(printed.splitlines()[-1])
    return result


def sheet_of(folder: Path, size: int) -> Sheet:
    image = folder / f"{size}.tif"
    if not image.exists():
        place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 0.2, 0.2)}
        profile = {
            "driver": "GTiff",
            "dtype": "uint8",
            "count": 1,
            "sparse_ok": True,
            "tiled": True,
        }
        with rasterio.open(image, "w", height=size, width=size, **profile, **place):
            pass
    parts = PartFolder(folder / f"{size}", "0123", open_raster(image), 6, True, False)
    return Sheet(parts, TileGrid(size, size, 512, 128), 0.0, None)


def _write_parts(folder: Path, size: int, cell: int) -> None:
    """Each square of a scene gets a class by its colour alone, as `pixel` gives it."""
    image, _ = scenes.render(7, 0, 0, _SIDE, _SIDE)
    coarse = image[:3, ::cell, ::cell].astype(np.float64)
    scores = np.random.default_rng(0).normal(size=(len(CLASSES), 3)) @ coarse.reshape(3, -1)
    tile = (scores - scores.mean(1, keepdims=True)).argmax(0).reshape(coarse.shape[1:])
    tile = tile.astype(np.uint8).repeat(cell, 0).repeat(cell, 1)
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    tile = np.concatenate([tile, tile[::-1]], 0)
    sheet = sheet_of(folder, size)
    blocks = sheet.grid.blocks(classes=len(CLASSES))
    for number, block in enumerate(blocks):
        for lattice_row, area in block.bands():
            rows = np.arange(area.row, area.row_end) % len(tile)
            cols = np.arange(area.col, area.col_end) % len(tile)
            labels = tile[rows][:, cols]
            sheet.folder.write(number, lattice_row, Band(area, labels, 40 * labels + 1, None))
    sheet.folder.write_plan(blocks, None, "fp32")


def _tell(sheet: Sheet, output: Output) -> Story:
    for tasks in polygon_stages(sheet, sheet.blocks(), [output]):
        started = time.perf_counter(), time.process_time()
        seconds = yield Stage("files", tasks)
        wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
        name = tasks[0].function.__name__
        print(
            f"{name}: {len(tasks)} tasks, wall {wall:.1f}, CPU {cpu:.1f}, {sum(seconds):.1f}, "
            f"peak {peak_memory() / 2**20:.0f} MiB",
            flush=True,
        )


def main(folder: Path, size: int, way: str) -> None:
    """Make the polygons one way and print what it took as JSON."""
    import pyogrio

    sheet = sheet_of(folder, size)
    output = Output("gpkg", folder / f"{way}.gpkg", "key")
    process = Process(
        None,  # type: ignore[arg-type]  # no network
        ClassScheme.from_names(CLASSES),
        _THREADS,
        lambda _: None,
    )
    before = time.perf_counter(), time.process_time()
    if way == "tree":
        with ThreadSlots(process, _THREADS) as slots:
            tell_stories([_tell(sheet, output)], slots)
    else:
        make_polygons(process, sheet, [output])
    wall, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    count = pyogrio.read_info(output.path)["features"]
    took = {"wall": wall, "cpu": cpu, "memory": peak_memory(), "polygons": count}
    print(json.dumps(took))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
