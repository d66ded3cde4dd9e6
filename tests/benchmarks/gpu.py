"""geoseg on a GPU, six minutes in all: ``python -m tests.benchmarks.gpu``.

HCNet on ResNet-50 in bf16 over 20,000 x 20,000 pixels, and `pixel`, a network that costs next to
nothing, which shows what the engine would allow. Without a GPU a small run on the CPU shows only
that the script works.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import geoseg
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model

SIZE, TINY = 20_000, 1024
MARKS = (40.0, 90.0)
"""Wanted of HCNet: megapixels a second, and per cent of the wall that its forwards take."""


def _run(image: Path, model: Path, out: Path, **options: Any) -> tuple[dict[str, Any], float]:
    started = time.perf_counter()
    report = geoseg.predict(image, model, out=out, vectors="none", preview=False, **options)
    return report.data, time.perf_counter() - started


def main() -> None:
    """Measure both networks; the first run of each, on a small raster, warms up."""
    has_gpu = torch.cuda.is_available()
    size = SIZE if has_gpu else TINY
    options: dict[str, Any] = (
        {"device": "cuda", "precision": "bf16"} if has_gpu else {"device": "cpu"}
    )
    where = torch.cuda.get_device_name() if has_gpu else "no GPU: a small run on the CPU"
    print(f"{where}; torch {torch.__version__}, {size} x {size}", flush=True)
    encoder = "resnet50" if has_gpu else "resnet18"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, small = (write_imagery(folder / f"{side}.tif", side) for side in (size, TINY))
        for system, backbone in (("hcnet", encoder), ("pixel", None)):
            model = write_model(folder / f"{system}.safetensors", system, backbone)
            _run(small, model, folder / f"{system}-warm", **options)
            data, wall = _run(image, model, folder / system, **options)
            seconds = data["seconds"]
            share = 100 * seconds["forward"] / seconds["total"]
            speed = size**2 / 1e6 / seconds["total"]
            held = torch.cuda.max_memory_allocated() / 2**30 if has_gpu else 0.0
            print(
                f"{system} on {backbone}: {speed:.1f} MPix/s, forward {share:.0f} % of the wall, "
                f"whole call {wall:.1f} s, stages {seconds}, held on the GPU {held:.1f} GiB",
                flush=True,
            )
            if system == "hcnet" and has_gpu:
                print(f"of the marks: speed {speed / MARKS[0]:.2f}, share {share / MARKS[1]:.2f}")


if __name__ == "__main__":
    main()
