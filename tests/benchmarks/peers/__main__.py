"""geoseg beside other tools: ``make bench-peers``; CASES names tables, TOOLS rows of them."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model
from tests.benchmarks.peers.runners import AGAIN, RUNNERS

ROUNDS = 3
CASES = {
    "tiny": ("pixel", None, 1024),
    "unet-1024": ("smp.unet", "resnet18", 1024),
    "unet-2048": ("smp.unet", "resnet18", 2048),
    "unet-4096": ("smp.unet", "resnet18", 4096),
    "pixel-8192": ("pixel", None, 8192),
    "hcnet-4096": ("hcnet", "resnet50", 4096),
    "ocrnet-4096": ("ocrnet", "resnet50", 4096),
    "isnet-4096": ("isnet", "resnet50", 4096),
}


def _run(name: str, image: Path, model: Path, out: Path) -> dict[str, Any]:
    """What one tool took in a process of its own; that process's whole time is ``whole``."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "tests.benchmarks.peers.once", name, image, model, out]
    # The first run of geoseg finds no rate of an earlier one, and leaves it to the next.
    cache = out.parent / "cache"
    if name != AGAIN:
        shutil.rmtree(cache, ignore_errors=True)
    environment = os.environ | {"GEOSEG_CACHE": str(cache)}
    started = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment
    )
    whole = time.perf_counter() - started
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1]) | {"whole": whole}


def _agreement(first: str, second: str) -> float:
    """The share of pixels that have the same class in two rasters."""
    same, pixels = 0, 0
    with rasterio.open(first) as one, rasterio.open(second) as other:
        for _, window in one.block_windows():
            equal = one.read(1, window=window) == other.read(1, window=window)
            same += int(np.count_nonzero(equal))
            pixels += equal.size
    return same / pixels


def _print(name: str, found: list[dict[str, Any]], size: int, agreement: float) -> None:
    def spread(key: str) -> str:
        values = sorted(each[key] for each in found)
        return f"{statistics.median(values):.1f} ({values[0]:.1f}-{values[-1]:.1f})"

    peak = statistics.median(each["peak"] for each in found) / 2**30
    print(
        f"| {name} | {spread('seconds')} | {spread('whole')} | {spread('cpu')} | "
        f"{found[0]['pixels'] / size**2:.2f} | {peak:.2f} | {agreement:.2%} |",
        flush=True,
    )


def compare(case: str, folder: Path, rounds: int) -> None:
    """A table of all tools on one network and one raster, interleaved."""
    system, encoder, size = CASES[case]
    image = write_imagery(folder / f"{size}.tif", size)
    model = write_model(folder / f"{case}.safetensors", system, encoder)
    chosen = os.environ.get("TOOLS", ",".join(RUNNERS)).split(",")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in RUNNERS if name in chosen}
    load = os.getloadavg()[0]
    for _ in range(rounds):
        for name, before in found.items():
            if not any("missing" in each for each in before):
                before.append(_run(name, image, model, folder / name))
    print(
        f"\n{case}: {system} on {encoder}, {size} x {size}, {rounds} rounds, load {load:.1f} "
        f"to {os.getloadavg()[0]:.1f}\n"
    )
    print(
        "| tool | file to file, s | whole process, s | CPU, s | forwards per pixel | peak, GiB | "
        "agrees with geoseg |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, each in found.items():
        missing = next((one["missing"] for one in each if "missing" in one), None)
        if missing is not None:
            print(f"| {name} | not measured: {missing} |||||| |", flush=True)
            continue
        _print(name, each, size, _agreement(found["geoseg"][0]["labels"], each[0]["labels"]))


def main(cases: list[str]) -> None:
    """Compare in the named cases, or in all but the tiny one."""
    unknown = [case for case in cases if case not in CASES]
    if unknown:
        sys.exit(f"unknown case {unknown[0]!r}; there are {', '.join(CASES)}")
    rounds = int(os.environ.get("ROUNDS", ROUNDS))
    with tempfile.TemporaryDirectory() as folder:
        for case in cases or [case for case in CASES if case != "tiny"]:
            compare(case, Path(folder), rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
