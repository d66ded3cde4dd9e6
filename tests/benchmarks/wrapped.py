"""Networks of others through `geoseg.wrap`: whole calls against the bare forwards.

``python -m tests.benchmarks.wrapped 1536 Unet`` runs one of them on a smaller raster.
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyogrio
import rasterio
import torch
from torch import Tensor, nn

import geoseg
from geoseg import scenes
from geoseg.inference.openmp import let_others_sleep
from geoseg.models import Model
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import MEAN, STD, STEPS, normalized, train_briefly

_WINDOW = 512


def wrap(folder: Path, side: int = 3072, chosen: tuple[str, ...] = ()) -> None:
    """smp's Unet, DeepLabV3+, Segformer and an nn.Sequential: total against the bare forwards."""
    image = write_imagery(folder / f"{side}.tif", side)
    networks = _networks()
    for name in chosen or networks:
        torch.manual_seed(0)
        net = networks[name]()
        trained = time.perf_counter()
        let_others_sleep()  # a thread beside this one does not spin, whatever else runs
        with ThreadPoolExecutor(1) as thread:
            correct = thread.submit(train_briefly, net).result()
        print(
            f"{name}: {correct:.0%} of its last patches are right after {STEPS} steps, "
            f"{time.perf_counter() - trained:.0f} s",
            flush=True,
        )
        _compare(name, net, image, folder)


def _compare(name: str, net: nn.Module, image: Path, folder: Path) -> None:
    """Two calls, then the bare forwards, in torch's own layout and as geoseg lays pixels out."""
    model = geoseg.wrap(
        net,  # of which geoseg runs a copy
        classes=list(scenes.CLASSES.names),
        bands=["red", "green", "blue"],
        mean=MEAN,
        std=STD,
        value_range=(0, 255),
        window=_WINDOW,
        multiple=32,
    )
    calls = [_call(image, model, folder / f"{name}-{call}") for call in ("first", "again")]
    x = _first_window(image)
    plain = _bare(copy.deepcopy(net), x.contiguous(), calls[1].forwards)
    rows = torch.channels_last
    bare = _bare(net.to(memory_format=rows), x.contiguous(memory_format=rows), calls[1].forwards)
    ratios = [calls[0].wall / bare.wall, calls[1].wall / bare.wall, calls[1].cpu / bare.cpu]
    print(
        f"{name}: {bare.forwards} windows, polygons and preview included: total "
        f"{calls[0].wall:.1f} s the first time, {calls[1].wall:.1f} s again, bare forwards "
        f"{bare.wall:.1f} s: ratio {ratios[0]:.3f}, again {ratios[1]:.3f}, CPU {ratios[2]:.3f}; "
        f"against bare forwards in torch's own layout {calls[1].wall / plain.wall:.3f}\n"
        f"    again, in seconds: {calls[1].seconds}; {calls[1].polygons} polygons",
        flush=True,
    )


class _Took(NamedTuple):
    """Seconds of a call, or of bare forwards."""

    forwards: int
    wall: float
    cpu: float
    seconds: dict[str, float] = {}  # noqa: RUF012 - never changed
    """Of its stages."""
    polygons: int = 0


def _call(image: Path, model: Model, out: Path) -> _Took:
    cpu = time.process_time()
    data = geoseg.predict(image, model, out=out, precision="fp32").data
    cpu = time.process_time() - cpu
    file = Path(data["inputs"][0]["outputs"]["gpkg"])
    polygons = pyogrio.read_info(file, layer=file.stem)["features"]
    return _Took(data["forwards"], data["seconds"]["total"], cpu, data["seconds"], polygons)


def _networks() -> dict[str, Callable[[], nn.Module]]:
    import segmentation_models_pytorch as smp

    options: dict[str, Any] = {"encoder_weights": None, "classes": len(scenes.CLASSES)}
    return {
        "Unet": lambda: smp.Unet("resnet18", **options),
        "DeepLabV3Plus": lambda: smp.DeepLabV3Plus("resnet18", **options),
        "Segformer": lambda: smp.Segformer("resnet18", **options),
        "Sequential": _sequential,
    }


def _sequential() -> nn.Module:
    """Dilated convolutions at full resolution, after Yu and Koltun (2016), table 1."""
    layers: list[nn.Module] = []
    for before, width, dilation in ((3, 32, 1), (32, 64, 2), (64, 64, 4), (64, 64, 8)):
        convolution = nn.Conv2d(before, width, 3, padding=dilation, dilation=dilation)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(64, len(scenes.CLASSES), 1))


def _first_window(image: Path) -> Tensor:
    with rasterio.open(image) as source:
        pixels = source.read(window=rasterio.windows.Window(0, 0, _WINDOW, _WINDOW))
    return normalized(pixels)[None]


def _bare(net: nn.Module, x: Tensor, forwards: int) -> _Took:
    with torch.inference_mode():
        net(x)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(forwards):
            net(x)
    return _Took(forwards, time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    size, *names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        wrap(Path(scratch), int(size), tuple(names))
