"""Networks with random weights, or briefly trained, for benchmarks of time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import geoseg
from geoseg import scenes

CLASSES = ["impervious surfaces", "building", "low vegetation", "tree", "car", "clutter"]
MEAN, STD = [110.0, 100.0, 100.0], [45.0, 45.0, 45.0]
WORLD = 7
"""Of the imagery, which begins at its corner."""
STEPS, _PATCHES, _PATCH = 40, 4, 128


def write_model(
    path: Path,
    system: str,
    encoder: str | None,
    *,
    output_stride: int | None = None,
    ground_sampling: float | None = None,
    trained: bool = False,
    **options: Any,
) -> Path:
    """A geoseg model file of three uint8 bands and six classes, of random weights or trained."""
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
    if trained:
        train_briefly(net)
    return geoseg.save_model(
        net,
        path,
        classes=CLASSES,
        bands=["near infrared", "red", "green"],
        value_range=(0, 255),
        mean=MEAN,
        std=STD,
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


def train_briefly(net: torch.nn.Module) -> float:
    """Some steps on the town beside the imagery, so that classes come in regions like a user's.

    Returns:
        The share of right pixels of the last patches.
    """
    image, labels = scenes.render(WORLD, 0, 1024, 512, 1024)
    pixels, truth = normalized(image[:3]), torch.from_numpy(labels.astype(np.int64))
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
    net.train()
    for _ in range(STEPS):
        ends = torch.tensor(truth.shape) - _PATCH
        corners = (torch.rand(_PATCHES, 2, generator=generator) * ends).long().tolist()
        places = [(slice(row, row + _PATCH), slice(col, col + _PATCH)) for row, col in corners]
        x, y = (torch.stack([each[..., *place] for place in places]) for each in (pixels, truth))
        found = net(x)
        logits = getattr(found, "logits", found)  # geoseg's own say more while they are trained
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits, y))
        optimizer.step()
    net.eval()
    return float((logits.argmax(1) == y).float().mean())


def normalized(pixels: NDArray[np.uint8]) -> Tensor:
    """``(3, height, width)`` as the networks take it."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return torch.from_numpy((pixels - mean) / std)
