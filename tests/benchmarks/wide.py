"""Memory of a network with large maps on a wide raster: the peak against the plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from geoseg import scenes
from tests.benchmarks.models import write_model

_SIDE = 1024


def wide(folder: Path) -> None:
    """HCNet on ResNet-50, stride 8, 20,000 x 1,600 pixels: memory depends on the width alone."""
    measure(folder, 1600, 20_000)


def measure(folder: Path, height: int, width: int) -> None:
    """Print the peak of `geoseg predict` and its plan; maps are full where `height` is 1,536."""
    image = _write(folder / "wide.tif", height, width)
    model = write_model(folder / "hcnet50.safetensors", "hcnet", "resnet50")
    out = folder / "wide"
    command = [sys.executable, "-m", "geoseg.cli", "predict", str(image), "--model", str(model)]
    subprocess.run([*command, "--out", str(out), "--quiet"], check=True)
    report = json.loads((out / "report.json").read_text())
    plan = report["plan"]
    peak, planned = (each["peak_memory_bytes"] / 2**30 for each in (report, plan))
    print(
        f"{width} x {height}: peak {peak:.2f} GiB, plan {planned:.2f}; {plan['blocks']} blocks, "
        f"{plan['forwards_per_window']} forwards a window, each pixel encoded "
        f"{plan['encoded_pixels'] / plan['pixels']:.2f} times; {report['seconds']}",
        flush=True,
    )


def _write(path: Path, height: int, width: int) -> Path:
    image, _ = scenes.render(7, 0, 0, _SIDE, _SIDE)
    shape = height // _SIDE + 1, width // _SIDE + 1
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 0.2, 0.2)}
    kind = {"driver": "GTiff", "count": 3, "dtype": "uint8", "tiled": True, "compress": "deflate"}
    with rasterio.open(path, "w", height=height, width=width, **kind, **place) as file:
        file.write(np.tile(image[:3], (1, *shape))[:, :height, :width])
    return path
