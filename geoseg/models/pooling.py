"""Adaptive average pooling as one matrix product.

Bin i of s over an extent of n covers floor(i·n / s) up to ceil((i + 1)·n / s), as PyTorch's own pooling has it; bins
overlap where s does not divide n, and repeat positions where n < s. The averaging matrix is made from the shape at
hand, so that an exported network keeps its bins at any size (PyTorch's own operator exports the window counts of one
size), and all scales of a pyramid are had in one pass over the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geoseg.models.layers import wide


def adaptive_pool(x: Tensor, size: int) -> Tensor:
    """Means ``(N, C, size, size)`` of the bins of a map ``(N, C, h, w)``, in float32 at least."""
    return pool_pyramid(x, (size,)).reshape(x.shape[0], x.shape[1], size, size)


def pool_pyramid(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Means of the bins of each size after another, row-major: ``(N, C, sum of size²)``, in float32 at least.

    Args:
        x: ``(N, C, h, w)``, h and w from 1 on.
        sizes: the bins along each side, from 1 on.
    """
    with torch.autocast(x.device.type, enabled=False):  # sums over thousands of elements
        x = wide(x)
        height, width = x.shape[2:]
        weights = [
            (
                _bins(size, height, x)[:, None, :, None] * _bins(size, width, x)[None, :, None, :]
            ).reshape(size * size, height * width)
            for size in sizes
        ]
        return x.flatten(2) @ torch.cat(weights).transpose(0, 1)


def _bins(size: int, extent: int, like: Tensor) -> Tensor:
    """The averaging matrix ``(size, extent)`` along one side."""
    index = torch.arange(size, device=like.device).unsqueeze(1)
    position = torch.arange(extent, device=like.device)
    first, end = index * extent // size, ((index + 1) * extent + size - 1) // size
    inside = (position >= first) & (position < end)
    return inside.to(like.dtype) / (end - first).to(like.dtype)
