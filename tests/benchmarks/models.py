"""Model files with random weights, for benchmarks of time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import geoseg

CLASSES = ["impervious surfaces", "building", "low vegetation", "tree", "car", "clutter"]


def write_model(
    path: Path,
    system: str,
    encoder: str | None,
    *,
    output_stride: int | None = None,
    ground_sampling: float | None = None,
    **options: Any,
) -> Path:
    """A geoseg model file of three uint8 bands and six classes."""
    torch.manual_seed(0)
    net = geoseg.create_model(
        system,
        encoder=encoder,
        classes=len(CLASSES),
        in_channels=3,
        output_stride=output_stride,
        **options,
    )
    settle(net)
    return geoseg.save_model(
        net,
        path,
        classes=CLASSES,
        bands=["near infrared", "red", "green"],
        value_range=(0, 255),
        mean=[110.0, 100.0, 100.0],
        std=[45.0, 45.0, 45.0],
        window=512,
        overlap=128,
        ground_sampling=ground_sampling,
    )


def settle(net: torch.nn.Module) -> None:
    """Give normalization layers statistics of smooth images, so that classes come in regions."""
    net.train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _ in range(4):
            coarse = torch.randn(2, 3, 16, 16, generator=generator)
            net(torch.nn.functional.interpolate(coarse, size=(256, 256), mode="bicubic"))
    net.eval()
