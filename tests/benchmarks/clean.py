"""Polygons of a class raster, exact and cleaned, against `rasterio.features.shapes` and pyogrio.

Each way runs in a process of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy import ndimage

from geoseg.classes import ClassScheme
from geoseg.inference.band import Band
from geoseg.inference.cleaned_parts import cleaning_stages
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.outputs import Output
from geoseg.inference.polygons import polygon_stages
from geoseg.inference.slots import ThreadSlots
from geoseg.inference.stories import Stage, Story, tell_stories
from geoseg.vector import Cleaning
from tests.benchmarks.apart import apart
from tests.benchmarks.clock import Clock
from tests.benchmarks.models import CLASSES
from tests.benchmarks.polygons import sheet_of

_SIDE = 2048
_THREADS = 2
_CLEANING = {"min_area": "50px", "simplify": "1px"}


def clean(folder: Path) -> None:
    """10,240 x 10,240 pixels in about 10^5 regions, two in three of them below 50 pixels."""
    size = 10_240
    _write(folder, size)
    ways: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "shapes": (_by_shapes, (folder, size)),
        "exact": (_by_geoseg, (folder, size, {})),
        "cleaned": (_by_geoseg, (folder, size, _CLEANING)),
        "small ones gone": (_by_geoseg, (folder, size, {"min_area": "50px"})),
    }
    took = {}
    for name, (way, arguments) in ways.items():
        took[name] = apart(way, *arguments)
        print(name, took[name], flush=True)
    exact, cleaned = took["exact"], took["cleaned"]
    print(
        f"exact: {took['shapes']['wall'] / exact['wall']:.2f} times as fast as shapes, "
        f"{exact['MiB']} MiB; cleaned: {cleaned['wall'] / exact['wall']:.2f} times the time of "
        f"exact ones, CPU {cleaned['cpu'] / exact['cpu']:.2f} times, {cleaned['MiB']} MiB, "
        f"{cleaned['vertices'] / took['small ones gone']['vertices']:.2f} of their vertices",
        flush=True,
    )


def _tile() -> NDArray[np.uint8]:
    """Five classes in smooth regions with a little noise at their borders; its sides fit."""
    random = np.random.default_rng(0)

    def field(sigma: float) -> NDArray[np.float32]:
        noise = random.normal(size=(_SIDE, _SIDE)).astype(np.float32)
        smooth = ndimage.gaussian_filter(noise, sigma, mode="wrap")
        return smooth / smooth.std()

    return np.argmax([field(20) + 0.1 * field(2) for _ in range(5)], 0).astype(np.uint8)


def _write(folder: Path, size: int) -> None:
    """The same pixels as the parts of a run and as one class raster."""
    tile, sheet = _tile(), sheet_of(folder, size)
    blocks = sheet.grid.blocks(classes=len(CLASSES))
    with rasterio.open(sheet.folder.source.path) as file:
        profile = {**file.profile, "compress": "zstd", "sparse_ok": False}
    with rasterio.open(folder / "classes.tif", "w", **profile) as whole:
        for number, block in enumerate(blocks):
            for lattice_row, area in block.bands():
                rows = np.arange(area.row, area.row_end) % _SIDE
                cols = np.arange(area.col, area.col_end) % _SIDE
                labels = tile[rows][:, cols]
                sheet.folder.write(number, lattice_row, Band(area, labels, 40 * labels + 1, None))
                window = rasterio.windows.Window(area.col, area.row, area.width, area.height)
                whole.write(labels, 1, window=window)
    sheet.folder.write_plan(blocks, None, "fp32")


def _by_geoseg(folder: Path, size: int, options: dict[str, Any]) -> dict[str, float]:
    sheet = dataclasses.replace(sheet_of(folder, size), cleaning=Cleaning.from_options(**options))
    output = Output("gpkg", folder / "geoseg.gpkg", "key")
    classes = ClassScheme.from_names(CLASSES)
    process = Process(None, classes, _THREADS, lambda _: None)  # type: ignore[arg-type]
    with Clock() as clock, ThreadSlots(process, _THREADS) as slots:
        tell_stories([_tell(sheet, output)], slots)
    return _result(clock, Path(str(output.path)))


def _tell(sheet: Sheet, output: Output) -> Story:
    blocks = sheet.blocks()
    for tasks in [*cleaning_stages(sheet, blocks), *polygon_stages(sheet, blocks, [output])]:
        yield Stage("files", tasks)


def _by_shapes(folder: Path, size: int) -> dict[str, float]:
    path = folder / "shapes.gpkg"
    path.unlink(missing_ok=True)
    with Clock() as clock, rasterio.open(folder / "classes.tif") as file:
        found = list(shapes(file.read(1), connectivity=4, transform=file.transform))
        geometry = shapely.to_wkb([shapely.geometry.shape(each) for each, _ in found])
        values = np.array([value for _, value in found], np.int32)
        options = {"geometry_type": "Polygon", "crs": file.crs.to_wkt(), "driver": "GPKG"}
        pyogrio.raw.write(str(path), geometry, [values], ["class_id"], **options)
    assert size == file.width
    return _result(clock, path)


def _result(clock: Clock, path: Path) -> dict[str, float]:
    """With what the file holds."""
    _, _, geometry, _ = pyogrio.raw.read(path, layer=path.stem, columns=[])
    vertices = int(shapely.get_num_coordinates(shapely.from_wkb(geometry)).sum())
    return {**clock.result(), "polygons": len(geometry), "vertices": vertices}
