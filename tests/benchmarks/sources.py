"""What sheets, areas of interest and resampling cost, against the same pixels in one file."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from rasterio import Affine
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

import geoseg
from geoseg.raster import open_raster
from geoseg.raster.reader import FileReader
from tests.benchmarks.models import write_model

_PLACE = Affine(0.1, 0, 5e5, 0, -0.1, 5e6)
_PLAIN = {"vectors": "none", "preview": False, "precision": "fp32"}


def mosaic_of_nine(folder: Path) -> None:
    """1536 x 1536 with `fcn` on ResNet-18, whole and as 9 sheets: CPU time, and the same pixels."""
    model = write_model(folder / "mosaic.safetensors", "fcn", "resnet18")
    whole = _write_scene(folder / "mosaic-whole.tif", 1536)
    sheets = folder / "nine"
    sheets.mkdir()
    with rasterio.open(whole) as file:
        for number in range(9):
            window = Window(512 * (number % 3), 512 * (number // 3), 512, 512)
            profile = {**file.profile, "width": 512, "height": 512}
            profile["transform"] = window_transform(window, file.transform)
            with rasterio.open(sheets / f"{(number * 4) % 9}.tif", "w", **profile) as sheet:
                sheet.write(file.read(window=window))
    seconds: dict[str, list[float]] = {"whole": [], "nine": []}
    for repeat in range(2):
        for name, source, options in (("whole", whole, {}), ("nine", sheets, {"mosaic": "one"})):
            out = folder / f"mosaic-{name}-{repeat}"
            seconds[name].append(_timed(source, model, out, options))
    with (
        rasterio.open(folder / "mosaic-whole-0/mosaic-whole_classes.tif") as one,
        rasterio.open(folder / "mosaic-nine-0/nine_classes.tif") as many,
    ):
        same = bool((one.read() == many.read()).all())
    ratio = min(seconds["nine"]) / min(seconds["whole"])
    print(f"nine sheets against one file: {ratio:.3f} times the CPU time, the same pixels: {same}")


def area_of_interest(folder: Path) -> None:
    """A square of 2 % of 20,000 x 20,000: forwards and bytes read, against the whole (counted)."""
    side = 20_000
    inner = round(side * 0.02**0.5)
    path = folder / "area.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": side, "width": side}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    sparse = {"SPARSE_OK": True, "crs": "EPSG:25832", "transform": _PLACE}
    with rasterio.open(path, "w", **profile, **tiles, **sparse) as file:
        file.write(np.full((3, 64, 64), 9, np.uint8), window=Window(0, 0, 64, 64))
    corners = [_PLACE @ corner for corner in ((7001, 8003), (7001 + inner, 8003 + inner))]
    box = shapely.box(*np.array(corners).min(axis=0), *np.array(corners).max(axis=0))
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:25832").to_file(folder / "area.gpkg")
    model = write_model(folder / "area.safetensors", "pixel", None)
    report, pixels = _counting(
        lambda: geoseg.predict(
            path, model, out=folder / "area", aoi=folder / "area.gpkg", encode="window", **_PLAIN
        )
    )
    (entry,) = report.data["inputs"]
    print(
        f"{entry['forwards']} of {entry['windows']} forwards "
        f"({entry['forwards'] / entry['windows']:.2%}), {pixels / side**2:.2%} of the pixels read"
    )


def resampling(folder: Path) -> None:
    """3072 x 3072 brought from 0.1 to 0.2 m on the fly, against the warped file: CPU time."""
    model = write_model(folder / "warp.safetensors", "fcn", "resnet18", ground_sampling=0.2)
    scene = _write_scene(folder / "warp.tif", 3072)
    source = open_raster(scene).resample(0.2)
    warped = folder / "warped.tif"
    with source.open() as reader:
        pixels, _ = reader.read(0, 0, source.height, source.width)
    with rasterio.open(scene) as file:
        profile = {**file.profile, "height": source.height, "width": source.width}
    with rasterio.open(warped, "w", **{**profile, "transform": source.transform}) as file:
        file.write(pixels)
    seconds: dict[str, list[float]] = {"fly": [], "back": [], "warped": []}
    ways: tuple[tuple[str, Path, dict[str, Any]], ...] = (
        ("fly", scene, {"resample": True, "output_grid": "model"}),
        ("back", scene, {"resample": True}),
        ("warped", warped, {}),
    )
    for repeat in range(2):
        for name, path, options in ways:
            seconds[name].append(_timed(path, model, folder / f"warp-{name}-{repeat}", options))
    least = min(seconds["warped"])
    print(
        f"resampled on the fly: {min(seconds['fly']) / least:.3f} times the CPU time of the warped "
        f"file; with labels brought back to the source: {min(seconds['back']) / least:.3f}"
    )


def mosaic_plan(folder: Path) -> None:
    """The plan of a mosaic of 20,000 sheets against 1,000: CPU time, and memory above start."""
    model = write_model(folder / "plan.safetensors", "pixel", None)
    measured = {}
    for count in (1000, 20_000):
        sheets = _write_sheets(folder / f"plan-{count}", count)
        command = [sys.executable, "-m", "tests.benchmarks.sources", str(sheets), str(model)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        measured[count] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{count} sheets: {measured[count]['seconds']:.1f} CPU-s, "
            f"{measured[count]['bytes'] / 2**20:.0f} MiB above the start",
            flush=True,
        )
    ratio = measured[20_000]["seconds"] / measured[1000]["seconds"]
    print(f"20,000 against 1,000 sheets: {ratio:.1f} times the CPU time")


def _timed(source: Path, model: Path, out: Path, options: dict[str, Any]) -> float:
    started = time.process_time()
    geoseg.predict(source, model, out=out, device="cpu", **{**_PLAIN, **options})
    return time.process_time() - started


def _counting(work: Callable[[], Any]) -> tuple[Any, int]:
    """What some work gives, and how many pixels are read from files meanwhile."""
    read, decode = [], FileReader._read

    def spy(self: FileReader, window: Any, out: Any) -> Any:
        read.append(window.height * window.width)
        return decode(self, window, out)

    FileReader._read = spy  # type: ignore[method-assign]
    try:
        return work(), sum(read)
    finally:
        FileReader._read = decode  # type: ignore[method-assign]


def _write_scene(path: Path, side: int) -> Path:
    rows, cols = np.mgrid[:side, :side]
    waves = [127 + 120 * np.sin(rows / a + cols / b) for a, b in ((90, 70), (50, 110), (30, 40))]
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": side, "width": side}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **tiles, crs="EPSG:25832", transform=_PLACE) as file:
        file.write(np.stack(waves).astype(np.uint8))
    return path


def _write_sheets(folder: Path, count: int) -> Path:
    """Small sheets, in rows of 100."""
    folder.mkdir()
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 32, "width": 32}
    pixels = np.random.default_rng(0).integers(1, 255, (3, 32, 32), np.uint8)
    for number in range(count):
        place = _PLACE @ Affine.translation(32 * (number % 100), 32 * (number // 100))
        path = folder / f"{number:05d}.tif"
        with rasterio.open(path, "w", **profile, crs="EPSG:25832", transform=place) as file:
            file.write(pixels)
    return folder


def _plan(sheets: Path, model: Path) -> None:
    """Plan a mosaic in this process; prints CPU-seconds, and bytes above the start."""
    tiny = _write_scene(sheets.parent / f"{sheets.name}-start.tif", 64)
    options: dict[str, Any] = {**_PLAIN, "device": "cpu", "dry_run": True}
    geoseg.predict(tiny, model, out=sheets.parent / "nothing", **options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    started = time.process_time()
    geoseg.predict(sheets, model, out=sheets.parent / "nothing", mosaic="one", **options)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "bytes": peak - before}))


if __name__ == "__main__":
    _plan(Path(sys.argv[1]), Path(sys.argv[2]))
