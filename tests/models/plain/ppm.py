"""The pyramid pooling module with PyTorch's own pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.ppm import PyramidPooling


def pool(module: PyramidPooling, x: Tensor) -> Tensor:
    """The module's ``(N, 4·channels, h, w)``."""
    return torch.cat(
        [
            F.interpolate(
                level(F.adaptive_avg_pool2d(x, size)),
                size=x.shape[2:],
                mode="bilinear",
                align_corners=False,
            )
            for level, size in zip(module.levels, (1, 2, 3, 6), strict=True)
        ],
        1,
    )
