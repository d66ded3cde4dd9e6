"""Asymmetric non-local networks: attention to 110 pooled positions instead of to all pixels."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from geoseg.models.context.base import AttentionWidthOptions, ContextHead, Maps, Outputs
from geoseg.models.layers import BatchNorm, Classifier, attend, conv_bn_relu, pool_pyramid

SIZES = (1, 3, 6, 8)
"""Cells along each side of the grids of keys and values: 1 + 9 + 36 + 64 positions."""


class ANNHead(ContextHead):
    """The fusion block (AFNB), a 3x3 convolution and the pyramid block (APNB).

    In the first, stage 4 attends to stage 3; in the second the map attends to itself, with one
    convolution for queries and keys. Each block's context is concatenated with its input and mixed
    by a 1x1 convolution.
    """

    name = "ann"
    paper = (
        "Asymmetric Non-local Neural Networks for Semantic Segmentation, ICCV 2019, "
        "https://arxiv.org/abs/1908.07678"
    )
    stages = 2
    radius = 0
    presets: ClassVar = {"geoseg": AttentionWidthOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        middle, deep = in_channels
        width, keys = self.options.channels, self.options.key_channels
        self.fusion = PooledAttention(deep, keys, middle)
        self.mix = nn.Sequential(nn.Conv2d(2 * deep, deep, 1, bias=False), BatchNorm(deep))
        self.reduce = conv_bn_relu(deep, width, 3)
        self.pyramid = PooledAttention(width, keys)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """The stage 3 and stage 4 maps themselves."""
        middle, deep = features
        return {"middle": middle, "deep": deep}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        middle, deep = maps["middle"], maps["deep"]
        x = self.reduce(self.mix(torch.cat([self.fusion(deep, middle), deep], 1)))
        return Outputs(self.classify(self.fuse(torch.cat([self.pyramid(x, x), x], 1))), {})


class PooledAttention(nn.Module):
    """Attention of a map's positions to the pooled positions of `source`, scaled by 1/√d.

    Without `source_channels` the source is the map itself, and queries and keys come from one
    convolution.
    """

    def __init__(
        self, channels: int, key_channels: int, source_channels: int | None = None
    ) -> None:
        super().__init__()
        self.query = conv_bn_relu(channels, key_channels)
        self.key = conv_bn_relu(source_channels, key_channels) if source_channels else self.query
        # Without biases: the normalisation that follows the block would take them out again.
        self.value = nn.Conv2d(source_channels or channels, key_channels, 1, bias=False)
        self.out = nn.Conv2d(key_channels, channels, 1, bias=False)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """The context ``(N, channels, h, w)`` of a map ``(N, channels, h, w)``."""
        query = self.query(x)
        key = query if self.key is self.query else self.key(source)
        # Keys and values are ``(N, d, 110)``.
        keys, values = (pool_pyramid(y, SIZES).to(y.dtype) for y in (key, self.value(source)))
        context: Tensor = self.out(attend(query, keys, values))
        return context
