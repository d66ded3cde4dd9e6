"""How long the program takes until it has an answer, or runs its first window."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model

REPEATS = 5
_FIRST_FORWARD = """
import os, sys
from geoseg import cli
from geoseg.inference import plan
def first(*_):
    os._exit(0)
plan.Probe = first
import geoseg.commands.predict
sys.argv = ["geoseg", "predict", *sys.argv[1:]]
cli.main()
"""
"""The program until the window that the plan is measured on has been run."""


def _cpu_seconds(command: list[str]) -> float:
    """CPU seconds of a process and its threads: other load counts little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def startup(folder: Path) -> None:
    """CPU seconds to refuse, to describe, and to the first forward; medians, interleaved."""
    image = write_imagery(folder / "2048.tif", 2048)
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    out = ["--model", str(model), "--out", str(folder / "startup"), "--bands", "1,2,3"]
    (folder / "typo.yaml").write_text("data: {}\nmodel: {systm: pixel}\n")
    program = [sys.executable, "-m", "geoseg.cli"]
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "predict, a missing file": [*program, "predict", "missing.tif", *out],
        "info RASTER": [*program, "info", str(image)],
        "train, a typo": [*program, "train", str(folder / "typo.yaml")],
        "first forward of pixel": [sys.executable, "-c", _FIRST_FORWARD, str(image), *out],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            found[name].append(_cpu_seconds(command))
    for name, seconds in found.items():
        print(f"{name:<26} {statistics.median(seconds):.2f} s of CPU", flush=True)
