"""Networks of others through `geoseg.wrap`: whole calls against the bare forwards."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

import geoseg
from geoseg.models import Model
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import CLASSES, settle

_WINDOW = 512
_MEAN, _STD = [110.0, 100.0, 100.0], [45.0, 45.0, 45.0]


def wrap(folder: Path, side: int = 3072) -> None:
    """smp's Unet, DeepLabV3+, Segformer and an nn.Sequential: total against the bare forwards."""
    image = write_imagery(folder / f"{side}.tif", side)
    for name, net in _networks().items():
        settle(net)
        wrapped = copy.deepcopy(net)
        model = geoseg.wrap(
            wrapped,
            classes=CLASSES,
            bands=["red", "green", "blue"],
            mean=_MEAN,
            std=_STD,
            value_range=(0, 255),
            window=_WINDOW,
            multiple=32,
        )
        calls = [_call(image, model, folder / f"{name}-{call}") for call in ("first", "again")]
        x = _first_window(image)
        rows = x.contiguous(memory_format=torch.channels_last)
        bare = _bare(wrapped, rows, calls[1].forwards)
        plain = _bare(net, x.contiguous(), calls[1].forwards)
        print(
            f"{name}: {bare.forwards} windows, polygons and preview included: total "
            f"{calls[0].wall:.1f} s the first time, {calls[1].wall:.1f} s again, bare forwards "
            f"{bare.wall:.1f} s: ratio {calls[0].wall / bare.wall:.3f}, again "
            f"{calls[1].wall / bare.wall:.3f}, CPU {calls[1].cpu / bare.cpu:.3f}; against bare "
            f"forwards in torch's own layout {calls[1].wall / plain.wall:.3f}",
            flush=True,
        )


class _Took(NamedTuple):
    """Seconds of a call, or of bare forwards."""

    forwards: int
    wall: float
    cpu: float


def _call(image: Path, model: Model, out: Path) -> _Took:
    cpu = time.process_time()
    data = geoseg.predict(image, model, out=out, precision="fp32").data
    return _Took(data["forwards"], data["seconds"]["total"], time.process_time() - cpu)


def _networks() -> dict[str, nn.Module]:
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    options = {"encoder_weights": None, "classes": len(CLASSES)}
    layers: list[nn.Module] = []
    for width in (3, 64, 64, 64):
        layers += [nn.Conv2d(width, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    plain = nn.Sequential(*layers, nn.Conv2d(64, len(CLASSES), 1))
    return {
        "Unet": smp.Unet("resnet18", **options),
        "DeepLabV3Plus": smp.DeepLabV3Plus("resnet18", **options),
        "Segformer": smp.Segformer("resnet18", **options),
        "Sequential": plain,
    }


def _first_window(image: Path) -> Tensor:
    with rasterio.open(image) as source:
        pixels = source.read(window=rasterio.windows.Window(0, 0, _WINDOW, _WINDOW))
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (_MEAN, _STD))
    return torch.from_numpy((pixels - mean) / std)[None]


def _bare(net: nn.Module, x: Tensor, forwards: int) -> _Took:
    with torch.inference_mode():
        net(x)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(forwards):
            net(x)
    return _Took(forwards, time.perf_counter() - wall, time.process_time() - cpu)
