"""Networks of others through `geoseg.wrap`: whole calls against the bare forwards."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

import geoseg
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
            bands=["near infrared", "red", "green"],
            mean=_MEAN,
            std=_STD,
            value_range=(0, 255),
            window=_WINDOW,
            multiple=32,
        )
        first, again = (
            geoseg.predict(image, model, out=folder / f"{name}-{call}", precision="fp32").data
            for call in ("first", "again")
        )
        x = _first_window(image)
        x = x.contiguous(memory_format=torch.channels_last)
        bare = _bare_seconds(wrapped, x, again["forwards"])
        plain = _bare_seconds(net, x.contiguous(), again["forwards"])
        print(
            f"{name}: {again['forwards']} windows, polygons and preview included: total "
            f"{first['seconds']['total']:.1f} s the first time, {again['seconds']['total']:.1f} s "
            f"again; bare forwards {bare:.1f} s: ratio {first['seconds']['total'] / bare:.3f}, "
            f"again {again['seconds']['total'] / bare:.3f}; bare in torch's own layout "
            f"{plain:.1f} s: ratio {again['seconds']['total'] / plain:.3f}",
            flush=True,
        )


def _networks() -> dict[str, nn.Module]:
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    options = {"encoder_weights": None, "classes": len(CLASSES)}
    plain = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        nn.Conv2d(32, len(CLASSES), 1),
    )
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


def _bare_seconds(net: nn.Module, x: Tensor, forwards: int) -> float:
    with torch.inference_mode():
        net(x)
        started = time.perf_counter()
        for _ in range(forwards):
            net(x)
    return time.perf_counter() - started
