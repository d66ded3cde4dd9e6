"""The few layers and operations that heads share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also trains on a single position.

    One value per channel (one image's global mean, or its map of one position) has no variance. It
    is then normalised by the running statistics, as in eval mode, and they stay as they are; with
    two values or more, nothing differs. A synchronised normalisation, which this is converted to
    for two processes or more, needs no such care: they have two values of each channel together.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalised ``(N, C, h, w)``."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A convolution without bias, batch normalisation and ReLU; an odd `kernel` keeps the size."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        BatchNorm(out_channels),
        nn.ReLU(inplace=True),
    )


def apply_concatenated(block: Any, parts: Sequence[Tensor]) -> Tensor:
    """What a `conv_bn_relu` gives for parts concatenated along the channels, without the copy.

    W [a; b] = W_a a + W_b b. For a 1x1 kernel a part may be one vector ``(N, C, 1, 1)`` in place of
    a map that repeats it.
    """
    conv, norm, _ = block
    weights = conv.weight.split([part.shape[1] for part in parts], 1)
    products = (
        F.conv2d(x, weight, padding=conv.padding) for x, weight in zip(parts, weights, strict=True)
    )
    total = next(products)
    for product in products:  # one after another: two maps in memory, however many parts
        total = total + product
    return F.relu(norm(total), inplace=True)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or float64 where it is: for softmaxes, upsampling and sums of many terms."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def resize(x: Tensor, size: Sequence[int], *, corners: bool = False) -> Tensor:
    """A map ``(N, C, h, w)`` at this ``(height, width)``, bilinear; itself where it has it.

    Args:
        x: the map.
        size: the height and the width that are wanted.
        corners: whether the outer positions stay the outer ones.
    """
    if x.shape[2:] == torch.Size(size):
        return x
    return F.interpolate(x, size=list(size), mode="bilinear", align_corners=corners)


def tokens(x: Tensor) -> Tensor:
    """The positions ``(N, h·w, C)`` of a map ``(N, C, h, w)``, row-major."""
    return x.flatten(2).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Dot-product attention of a map's positions to keys: softmax over the keys of `scale`·q·k.

    Args:
        query: ``(N, d, h, w)``.
        key: ``(N, d, ...)``, positions on any number of axes.
        value: ``(N, C, ...)``, of the same positions.
        scale: factor of the products; None is 1/√d.

    Returns:
        ``(N, C, h, w)``. The matrix of pairs is stored only where the device has no fused kernel
        for these widths.
    """
    # With an axis of one head, as 3-d tensors do not export; contiguous, as fused kernels refuse
    # transposed positions.
    q, k, v = (tokens(x).contiguous().unsqueeze(1) for x in (query, key, value))
    context = F.scaled_dot_product_attention(q, k, v, scale=scale).squeeze(1)
    return context.transpose(1, 2).reshape(query.shape[0], -1, *query.shape[2:])


def class_means(logits: Tensor, x: Tensor) -> Tensor:
    """Each class's mean of a map's vectors, weighted by its probability: Σ_i P_ki x_i / Σ_i P_ki.

    P is the softmax of `logits` over the classes. The weights of a class are the softmax of its
    log P over the positions, which is the same quotient. It also holds for a class that no pixel
    comes near, whose P is 0 all over in float32.

    Args:
        logits: ``(N, K, h, w)``.
        x: ``(N, C, h, w)``.

    Returns:
        ``(N, K, C)`` in float32 at least.
    """
    with torch.autocast(x.device.type, enabled=False):
        log_p = at_least_float32(logits).log_softmax(1)
        return log_p.flatten(2).softmax(2) @ tokens(at_least_float32(x))


def pool_pyramid(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Means of the bins of each size, one size after another, in float32 at least.

    One pass over the map for all sizes, as one matrix product. PyTorch's own adaptive pooling
    exports the bins of one image size; this averaging matrix is made from the actual shape, so that
    an exported network pools at any size.

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


class Classifier(nn.Module):
    """Class logits of each position: dropout and a 1x1 convolution, also under autocast in float32.

    Where two classes are close, bfloat16's 8 significant bits would choose between them at random.
    """

    def __init__(self, in_channels: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.conv = nn.Conv2d(in_channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes, h, w)`` of features ``(N, in_channels, h, w)``."""
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.conv(self.dropout(at_least_float32(x)))
        return logits
