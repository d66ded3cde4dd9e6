"""Labels and time in bf16 against fp32, on a CPU that computes in it natively."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import numpy as np
import rasterio

import geoseg
from geoseg.models.named import model_file
from geoseg.scenes import write_folder

ROUNDS = 3
_REAL = "banepa_buildings/val/banepa_image.tif"


def half(folder: Path) -> None:
    """The models that come with geoseg, bf16 against fp32, interleaved; no vectors, no preview."""
    (scene,) = write_folder(folder, scenes=1, size=1024, seed=77)
    cases = [("demo", scene.image)]
    real = Path(os.environ.get("GEOSEG_DATA", "nowhere"), _REAL)
    cases += [("buildings-rgb", real)] if real.exists() else []
    for name, image in cases:
        seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
        labels: dict[str, np.ndarray] = {}
        for number in range(ROUNDS):
            for precision, taken in seconds.items():
                out = folder / f"{name}-{precision}-{number}"
                report = geoseg.predict(
                    *(image, model_file(name)),
                    out=out,
                    precision=precision,
                    vectors="none",
                    preview=False,
                )
                taken.append(report.data["seconds"]["forward"])
                with rasterio.open(out / f"{image.stem}_classes.tif") as file:
                    labels[precision] = file.read(1)
        valid = labels["fp32"] != 255
        median = {precision: statistics.median(taken) for precision, taken in seconds.items()}
        print(
            f"{name}: {np.mean((labels['fp32'] == labels['bf16'])[valid]):.2%} of labels agree; "
            f"forwards {median['fp32']:.1f} and {median['bf16']:.1f} s, "
            f"{median['fp32'] / median['bf16']:.2f} times",
            flush=True,
        )
