"""How long the program takes until it has an answer, or runs its first window."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model

REPEATS = 5
_FIRST_FORWARD = """
import os, sys
from geoseg import cli
from geoseg.inference.predictor import Predictor
forward = Predictor.scores
def first(*arguments):
    forward(*arguments)
    os._exit(0)
Predictor.scores = first
sys.argv = ["geoseg", "predict", *sys.argv[1:]]
cli.main()
"""
"""The program until it has run its first window, the one that the plan is measured on."""


def _seconds(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a process and its threads, on which other load counts little; and wall."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def startup(folder: Path) -> None:
    """Seconds to refuse, to describe, to the first forward: interleaved, of this environment."""
    image = write_imagery(folder / "2048.tif", 2048)
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    encoded = write_model(folder / "encoded.safetensors", "fcn", "mobilenet_v2")
    given = ["--out", str(folder / "startup"), "--bands", "1,2,3", "--model"]
    out, of_encoder = [*given, str(model)], [*given, str(encoded)]
    (folder / "typo.yaml").write_text("data: {}\nmodel: {systm: pixel}\n")
    program = [sys.executable, "-m", "geoseg.cli"]
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "import torch, no exit": [sys.executable, "-c", "import os, torch; os._exit(0)"],
        "import smp": [sys.executable, "-c", "import segmentation_models_pytorch"],
        "predict, a missing file": [*program, "predict", "missing.tif", *out],
        "info RASTER": [*program, "info", str(image)],
        "train, a typo": [*program, "train", str(folder / "typo.yaml")],
        "first forward of pixel": [sys.executable, "-c", _FIRST_FORWARD, str(image), *out],
        "first forward, MobileNetV2": [
            *(sys.executable, "-c", _FIRST_FORWARD, str(image)),
            *of_encoder,
        ],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            found[name].append(_seconds(command))
    torch = statistics.median(cpu for cpu, _ in found["import torch"])
    for name, seconds in found.items():
        cpu, walls = statistics.median(each for each, _ in seconds), [wall for _, wall in seconds]
        print(
            f"{name:<26} CPU {cpu:.2f} s ({cpu / torch:.2f} of torch); "
            f"wall {statistics.median(walls):.2f} s, at best {min(walls):.2f} s",
            flush=True,
        )
