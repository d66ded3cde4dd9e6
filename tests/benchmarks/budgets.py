"""`--max-memory`: the peak of runs, each in a process of its own, against what they were given."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.benchmarks.planning import write_image, write_model

BUDGETS = ("900MiB", "1000MiB", "1100MiB", "1200MiB", "1400MiB", "1700MiB", "2GiB", "3GiB")
SHAPES: dict[str, dict[str, Any]] = {
    "2 classes": {"size": (560, 20_000), "classes": 2, "cell": 12},
    "19 classes": {"size": (560, 20_000), "classes": 19, "cell": 12},
    "150 classes": {"size": (560, 6000), "classes": 150, "cell": 12},
}
KINDS: dict[str, tuple[str, ...]] = {
    "rasters": ("--vectors", "none", "--confidence", "--probabilities"),
    "vectors": ("--vectors", "gpkg,fgb"),
    "clean": ("--vectors", "gpkg", "--min-area", "30px", "--simplify", "1px"),
}


def run_within(image: Path, model: Path, out: Path, budget: str, options: Iterable[str]) -> str:
    """One run: its peak against its budget, or that it was refused.

    Raises:
        AssertionError: it took more than it was given, or ended in another way.
    """
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "geoseg.cli", "predict", str(image), "--model", str(model)]
    command += ["--out", str(out), "--max-memory", budget, "--bands", "1,2,3", *options]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
    if done.returncode == 2 and "needs at least" in done.stderr:
        return done.stderr.split("at least ")[1].split()[0] + " needed"
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    peak, plan = report["peak_memory_bytes"], report["plan"]
    text = (
        f"{peak / plan['max_memory_bytes']:.2f} ({peak / 2**20:.0f} MiB, planned "
        f"{plan['peak_memory_bytes'] / 2**20:.0f}; {plan['forwards_per_window']} forwards)"
    )
    assert peak <= plan["max_memory_bytes"], f"{budget}: {text} {plan['choice']}"
    return text


def budgets(folder: Path) -> None:
    """Peak over budget of 8 budgets, 2 to 150 classes, rasters, polygons and clean polygons."""
    for name, shape in SHAPES.items():
        image = write_image(folder / "image.tif", shape)
        model = write_model(folder / "model.safetensors", shape)
        for kind, options in KINDS.items():
            for budget in BUDGETS:
                try:
                    text = run_within(image, model, folder / "out", budget, options)
                except AssertionError as error:
                    text = f"TOO MUCH: {error}"
                print(f"{name:<11} {kind:<8} {budget:>8}: {text}", flush=True)
