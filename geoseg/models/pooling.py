"""Adaptive average pooling as one matrix product.

PyTorch's own operator exports the bins of one image size; this one makes its averaging matrix from
the shape at hand, so that an exported network pools at any size. And all scales of a pyramid take
one pass over the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geoseg.models.layers import at_least_float32


def adaptive_pool(x: Tensor, size: int) -> Tensor:
    """Means ``(N, C, size, size)`` of the bins of a map ``(N, C, h, w)``, in float32 at least."""
    return pool_pyramid(x, (size,)).reshape(x.shape[0], x.shape[1], size, size)


def pool_pyramid(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Means of the bins of each size, one size after another, in float32 at least.

    Args:
        x: ``(N, C, h, w)``, h and w from 1 on.
        sizes: the bins along each side, from 1 on.

    Returns:
        ``(N, C, sum of size²)``, the bins of a size row-major.
    """
    with torch.autocast(x.device.type, enabled=False):  # sums over thousands of elements
        x = at_least_float32(x)
        height, width = x.shape[2:]
        weights = []
        for size in sizes:
            rows = _averaging_matrix(size, height, x)[:, None, :, None]
            columns = _averaging_matrix(size, width, x)[None, :, None, :]
            weights.append((rows * columns).reshape(size * size, height * width))
        return x.flatten(2) @ torch.cat(weights).transpose(0, 1)


def _averaging_matrix(size: int, extent: int, like: Tensor) -> Tensor:
    """``(size, extent)`` weights of the positions along one side in the mean of each bin."""
    # As in PyTorch, bin i covers the positions from floor(i·extent / size) on, and before
    # ceil((i + 1)·extent / size). Bins overlap where size does not divide extent:
    #
    #   positions  0 1 2 3 4      extent 5, size 2
    #   bin 0      x x x
    #   bin 1          x x x
    index = torch.arange(size, device=like.device).unsqueeze(1)
    position = torch.arange(extent, device=like.device)
    first, end = index * extent // size, ((index + 1) * extent + size - 1) // size
    inside = (position >= first) & (position < end)
    return inside.to(like.dtype) / (end - first).to(like.dtype)
