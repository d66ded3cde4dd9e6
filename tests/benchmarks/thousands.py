"""Thousands of small rasters given to the commands besides `predict`: time and memory of each."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

import geoseg
from tests.benchmarks.apart import apart

_SIDE = 64
_CLASSES = ["road", "roof", "grass", "tree"]


def thousands(folder: Path) -> None:
    """evaluate, prepare and vectorize on rasters of 64 x 64: 1,000 of them, and 10,000."""
    many = 10_000
    for name in ("evaluate", "prepare", "vectorize"):
        a_sheet, peaks = [], []
        for count in (1000, many):
            inputs = _write_inputs(folder / f"thousands-{count}", count)
            measured = apart(_measure, name, inputs, folder / f"{name}-{count}")
            a_sheet.append(measured["cpu"] / count)
            peaks.append(measured["peak"])
            print(
                f"{name} {count}: {a_sheet[-1] * 1e3:.1f} CPU-ms a raster, "
                f"{measured['cpu'] / measured['wall']:.2f} cores busy, "
                f"peak {peaks[-1] / 2**20:.0f} MiB",
                flush=True,
            )
        print(
            f"{name}: {many} against 1,000, a raster: ratio {a_sheet[1] / a_sheet[0]:.2f}, "
            f"{(peaks[1] - peaks[0]) / (many - 1000) / 2**10:.1f} KiB more for each",
            flush=True,
        )


def _measure(name: str, inputs: Path, out: Path) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    _COMMANDS[name](inputs, out)
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


_COMMANDS: dict[str, Callable[[Path, Path], Any]] = {
    "evaluate": lambda inputs, out: geoseg.evaluate(
        inputs / "predicted", inputs / "labels", _CLASSES, out
    ),
    "prepare": lambda inputs, out: geoseg.prepare(
        "folder",
        inputs,
        out,
        images="images",
        labels="labels",
        classes=_CLASSES,
        split="all",
    ),
    "vectorize": lambda inputs, out: geoseg.vectorize(
        sorted((inputs / "predicted").iterdir()), out / "all.gpkg"
    ),
}


def _write_inputs(folder: Path, count: int) -> Path:
    """Images, labels and predictions side by side."""
    if folder.exists():
        return folder
    rng = np.random.default_rng(0)
    for kind in ("images", "labels", "predicted"):
        (folder / kind).mkdir(parents=True)
    for index in range(count):
        place = from_origin(5e5 + index * _SIDE * 0.1, 5e6, 0.1, 0.1)
        coarse = rng.integers(0, len(_CLASSES), (1, 8, 8), np.uint8)
        labels = coarse.repeat(8, 1).repeat(8, 2)
        wrong = np.where(rng.random(labels.shape) < 0.01, 0, labels)
        images = 50 * np.concatenate([labels] * 3) + 20
        for kind, data in (("images", images), ("labels", labels), ("predicted", wrong)):
            with rasterio.open(
                folder / kind / f"t{index:05d}.tif",
                "w",
                driver="GTiff",
                width=_SIDE,
                height=_SIDE,
                count=len(data),
                dtype="uint8",
                crs="EPSG:25832",
                transform=place,
                photometric="MINISBLACK",
            ) as file:
                file.write(data.astype(np.uint8))
    return folder
