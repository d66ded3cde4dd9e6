"""CPU time a megapixel, of which `docs/scale.md` makes costs: other load counts little there."""

from __future__ import annotations

import time
from pathlib import Path

import torch

import geoseg
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor
from tests.benchmarks.apart import apart
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model

SMALL, LARGE = 1024, 4096
MEGAPIXELS = 25_000
"""Of 1,000 km2 at 20 cm."""
WINDOWS = 5


def _predict(image: Path, model: Path, out: Path, vectors: str) -> float:
    """CPU seconds of this process."""
    torch.set_num_threads(1)
    started = time.process_time()
    geoseg.predict(image, model, out=out, vectors=vectors, device="cpu", precision="fp32")
    return time.process_time() - started


def _forward(model: Path) -> float:
    """CPU seconds of a window of 512, one thread."""
    torch.set_num_threads(1)
    predictor = Predictor(geoseg.load_model(model), ForwardOptions("cpu", "fp32"), 1)
    x = torch.zeros(1, 3, 512, 512)
    predictor.scores(x)
    started = time.process_time()
    for _ in range(WINDOWS):
        predictor.scores(x)
    return (time.process_time() - started) / WINDOWS


def costs(folder: Path) -> None:
    """CPU seconds a megapixel of raster: networks, and all that is not the network."""
    images = {side: write_imagery(folder / f"{side}.tif", side) for side in (SMALL, LARGE)}
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    for vectors in ("none", "gpkg"):
        seconds = {
            side: apart(_predict, image, model, folder / f"costs-{vectors}-{side}", vectors)
            for side, image in images.items()
        }
        more = (seconds[LARGE] - seconds[SMALL]) / ((LARGE**2 - SMALL**2) / 1e6)
        _report(f"all but a network, vectors {vectors}", more)
    for encoder, stride in (("resnet18", 8), ("resnet18", 32), ("resnet50", 8)):
        name = f"{encoder}-{stride}"
        file = write_model(folder / f"{name}.safetensors", "fcn", encoder, output_stride=stride)
        _report(f"fcn on {encoder}, stride {stride}", apart(_forward, file) * 1e6 / 384**2)


def _report(name: str, seconds: float) -> None:
    print(
        f"{name:<36} {seconds:7.3f} CPU-s a megapixel of raster, "
        f"{seconds * MEGAPIXELS / 3600:7.2f} core hours for 1,000 km2 at 20 cm",
        flush=True,
    )
