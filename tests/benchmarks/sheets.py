"""What a small sheet costs: finding and surveying, the whole run, and whether it grows linearly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from tests.benchmarks.models import write_model

_SIDE = 64
_RUN = """
import contextlib, json, resource, sys, threading, time
import psutil
import geoseg
import torch, geoseg.inference.run, geoseg.inference.sheet
sources, model, out, options = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
of_workers, over = {}, threading.Event()
def watch():
    while not over.wait(0.2):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                of_workers[process.pid] = sum(process.cpu_times()[:2])
def taken():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) + sum(of_workers.values())
threading.Thread(target=watch, daemon=True).start()
cpu, wall = taken(), time.perf_counter()
data = geoseg.predict(sources, model, out=out, **options).data
cpu, wall = taken() - cpu, time.perf_counter() - wall
over.set()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak, "inputs": len(data["inputs"])}))
"""
"""Other processes are asked time and again, as nobody adds up what they took once they ended."""


def sheets(folder: Path) -> None:
    """Sheets of 64 x 64 with `pixel`: CPU-ms a sheet of each stage, 2,000 against 10,000."""
    model = write_model(folder / "small.safetensors", "pixel", None)
    totals = {}
    for count in (2000, 10_000):
        sources = _write_sheets(folder / f"sheets-{count}", count)
        plain = {"vectors": "none", "preview": False, "precision": "fp32"}
        survey = _run(sources, model, folder / f"none-{count}", {**plain, "dry_run": True})
        rasters = _run(sources, model, folder / f"rasters-{count}", plain)
        stages = {"survey": survey, "survey and rasters": rasters}
        if count == 2000:
            polygons = {**plain, "vectors": "gpkg"}
            stages["with GeoPackages"] = _run(sources, model, folder / "polygons", polygons)
            for name, more in (("rasters", plain), ("GeoPackages", polygons)):
                place = folder / f"workers-{name}"
                stages[f"two workers, {name}"] = _run(sources, model, place, {**more, "workers": 2})
            stages["kept"] = _run(sources, model, folder / f"rasters-{count}", plain)
        totals[count] = rasters["cpu"] / count
        for name, measured in stages.items():
            print(
                f"{count} sheets, {name}: {measured['cpu'] / count * 1e3:.1f} CPU-ms a sheet, "
                f"{measured['wall'] / count * 1e3:.1f} ms, "
                f"{measured['cpu'] / measured['wall']:.2f} cores busy, "
                f"peak {measured['peak'] / 2**20:.0f} MiB",
                flush=True,
            )
    print(f"10,000 against 2,000, a sheet: ratio {totals[10_000] / totals[2000]:.2f}", flush=True)


def _write_sheets(folder: Path, count: int) -> Path:
    """So many sheets of coarse random colours, side by side."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": _SIDE, "height": _SIDE, "count": 3, "dtype": "uint8"}
    for index in range(count):
        coarse = rng.integers(0, 255, (3, 8, 8), np.uint8)
        place = from_origin(5e5 + index * _SIDE * 0.1, 5e6, 0.1, 0.1)
        with rasterio.open(
            folder / f"{index:05d}.tif",
            "w",
            **profile,
            crs="EPSG:25832",
            transform=place,
            photometric="MINISBLACK",
        ) as file:
            file.write(coarse.repeat(8, 1).repeat(8, 2))
    return folder


def _run(sources: Path, model: Path, out: Path, options: dict[str, object]) -> dict[str, float]:
    """The measures of one run in a process of its own, imports left out."""
    command = [sys.executable, "-c", _RUN, str(sources), str(model), str(out), json.dumps(options)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured
