"""One network run over one raster by each tool, through its public interface.

A runner's imports stand in `prepare`, apart from `predict`, which goes from file to file. All cut
windows of 512 pixels that overlap by 128, one at a time, on a CPU in fp32, and write one class
raster.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WINDOW, OVERLAP = 512, 128


class Runner(NamedTuple):
    """How a tool is used."""

    packages: tuple[str, ...]
    """What its users import."""
    predict: Callable[[Path, Path, Path, Callable[[Any], None]], Path]
    """Image, model, output folder, and what is told of each network that is made; the raster."""


def _network(model: Path, watch: Callable[[Any], None]) -> tuple[Any, np.ndarray, np.ndarray]:
    """The network, and the mean and deviation of its bands, ``(bands, 1, 1)``."""
    import geoseg

    loaded = geoseg.load_model(model)
    watch(loaded.net)
    mean, std = (
        np.array(each, np.float32)[:, None, None] for each in (loaded.card.mean, loaded.card.std)
    )
    return loaded.net.eval(), mean, std


def _geoseg(
    image: Path, model: Path, out: Path, watch: Callable[[Any], None], **options: Any
) -> Path:
    import geoseg

    plain = {"vectors": "none", "preview": False, "precision": "fp32", "device": "cpu"}
    report = geoseg.predict(image, model, out, **plain, **options)
    watch(report.data)
    return out / f"{image.stem}_classes.tif"


def _loop(image: Path, model: Path, out: Path, watch: Callable[[Any], None]) -> Path:
    from tests.benchmarks.loop import predict_by_hand

    target = out / "loop.tif"
    predict_by_hand(image, model, target, WINDOW, OVERLAP, watch)
    return target


def _monai(image: Path, model: Path, out: Path, watch: Callable[[Any], None]) -> Path:
    import rasterio
    import torch
    from monai.inferers import SlidingWindowInferer

    net, mean, std = _network(model, watch)
    with rasterio.open(image) as source:
        profile = source.profile
        pixels = source.read(out_dtype="float32")
    infer = SlidingWindowInferer(WINDOW, sw_batch_size=1, overlap=OVERLAP / WINDOW, mode="gaussian")
    pixels -= mean
    pixels /= std
    with torch.inference_mode():
        labels = infer(torch.from_numpy(pixels)[None], net)[0].argmax(0).to(torch.uint8).numpy()
    target = out / "monai.tif"
    with rasterio.open(target, "w", **profile | {"count": 1}) as file:
        file.write(labels, 1)
    return target


def _geoai(image: Path, model: Path, out: Path, watch: Callable[[Any], None]) -> Path:
    from geoai.inference import predict_geotiff

    net, mean, std = _network(model, watch)
    target = out / "geoai.tif"
    predict_geotiff(
        net,
        str(image),
        str(target),
        tile_size=WINDOW,
        overlap=OVERLAP,
        batch_size=1,
        num_classes=net.spec.classes,
        device="cpu",
        output_dtype="uint8",
        output_nodata=255,
        preprocess_fn=lambda tile: (tile.astype(np.float32) - mean) / std,
        postprocess_fn=lambda scores: scores.argmax(0, keepdims=True).astype(np.uint8),
        verbose=False,
    )
    return target


AGAIN = "geoseg again"
"""As it runs where a run before has measured what a window takes, which is kept."""
WINDOWS = "geoseg in windows"
"""As it runs where windows share nothing."""
RUNNERS = {
    "geoseg": Runner(("geoseg.cli", "torch"), _geoseg),
    AGAIN: Runner(("geoseg.cli", "torch"), _geoseg),
    WINDOWS: Runner(("geoseg.cli", "torch"), functools.partial(_geoseg, encode="window")),
    "loop": Runner(("rasterio", "torch"), _loop),
    "monai": Runner(("rasterio", "torch", "monai.inferers"), _monai),
    "geoai": Runner(("geoai.inference",), _geoai),
}


def prepare(name: str) -> None:
    """Import what the tool's users import; ImportError where it is not installed."""
    for package in RUNNERS[name].packages:
        importlib.import_module(package)
