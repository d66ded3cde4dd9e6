"""geoseg from file to file against a loop written by hand, and against reading and writing alone.

The library is imported before; what a process of its own takes is what ``make bench-peers`` shows.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.windows import Window

import geoseg
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.loop import predict_by_hand
from tests.benchmarks.models import write_model

ROUNDS = 3
LARGE = 32_768
"""Pixels a side of the raster that is compared with reading and writing alone."""


def throughput_pixel(folder: Path, size: int = 8192) -> None:
    """`pixel` against the loop written by hand, 8192 x 8192, interleaved."""
    _against_loop(folder, "pixel", None, size)


def throughput_resnet18(folder: Path, size: int = 4096) -> None:
    """FCN on ResNet-18 against the loop written by hand, 4096 x 4096, fp32, interleaved."""
    _against_loop(folder, "fcn", "resnet18", size)


def throughput_plain(folder: Path, size: int = LARGE, rounds: int = 1) -> None:
    """`pixel` against a windowed read, a one-band write and a COG of it, 32,768 x 32,768."""
    image = write_imagery(folder / f"{size}.tif", size)
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    _compare(
        f"pixel {size}^2",
        {
            "read and write": lambda: _read_and_write(image, folder / "plain"),
            "geoseg": lambda: _predict(image, model, folder / "out"),
        },
        size,
        rounds,
    )


def _against_loop(folder: Path, system: str, encoder: str | None, size: int) -> None:
    image = write_imagery(folder / f"{size}.tif", size)
    model = write_model(folder / f"{system}.safetensors", system, encoder)
    _compare(
        f"{system} on {encoder} {size}^2",
        {
            "by hand": lambda: predict_by_hand(image, model, folder / "hand.tif"),
            "geoseg": lambda: _predict(image, model, folder / "out"),
        },
        size,
        ROUNDS,
    )


def _compare(name: str, works: dict[str, Callable[[], object]], size: int, rounds: int) -> None:
    """Medians of wall and processor seconds; the works take turns."""
    found: dict[str, list[tuple[float, float]]] = {each: [] for each in works}
    for _ in range(rounds):
        for each, work in works.items():
            started, spent = time.perf_counter(), time.process_time()
            said = work()
            taken = time.perf_counter() - started, time.process_time() - spent
            found[each].append(taken)
            print(f"{each}: wall {taken[0]:.2f}, CPU {taken[1]:.2f} s {said or ''}", flush=True)
    (first, second), mega = works, size * size / 1e6
    wall, cpu = (
        {each: statistics.median(one[index] for one in all_) for each, all_ in found.items()}
        for index in (0, 1)
    )
    print(
        f"{name}: {first} {mega / wall[first]:.2f}, {second} {mega / wall[second]:.2f} MPix/s; "
        f"ratio of wall {wall[first] / wall[second]:.2f}, of CPU {cpu[first] / cpu[second]:.2f}",
        flush=True,
    )


def _predict(image: Path, model: Path, out: Path) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    report = geoseg.predict(
        image, model, out=out, vectors="none", preview=False, device="cpu", precision="fp32"
    )
    seconds: dict[str, Any] = report.data["seconds"]
    return seconds


def _read_and_write(image: Path, folder: Path) -> None:
    """All bands read by windows of whole tiles, the first one written, and made a COG."""
    folder.mkdir(exist_ok=True)
    plain = folder / "plain.tif"
    with rasterio.open(image) as source:
        profile = source.profile | {"count": 1}
        with rasterio.open(plain, "w", **profile) as target:
            for row in range(0, source.height, 512):
                for col in range(0, source.width, 512):
                    sides = min(512, source.width - col), min(512, source.height - row)
                    window = Window(col, row, *sides)
                    target.write(source.read(window=window)[0], 1, window=window)
    rasterio.shutil.copy(str(plain), str(folder / "cog.tif"), driver="COG", COMPRESS="DEFLATE")
