"""Asymmetric non-local networks: attention to a pyramid of 110 pooled positions instead of to all pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, HeadOptions, Outputs
from geoseg.models.layers import BatchNorm, Classifier, attend, conv_bn_relu
from geoseg.models.pooling import pool_pyramid

SIZES = (1, 3, 6, 8)
"""Cells along each side of the grids that keys and values are pooled to: 1 + 9 + 36 + 64 positions."""


@dataclass(frozen=True)
class ANNOptions(HeadOptions):
    """The paper's widths."""

    channels: PositiveInt = 512
    """Width after the 3x3 convolution between the two blocks."""
    key_channels: PositiveInt = 256
    """Width of queries, keys and values."""


class ANNHead(ContextHead):
    """The fusion block (AFNB), a 3x3 convolution and the pyramid block (APNB).

    In the first, stage 4 looks into stage 3; in the second the map looks into itself, with one convolution for queries
    and keys. Each block's context is concatenated with its input and mixed by a 1x1 convolution.
    """

    name = "ann"
    paper = "Asymmetric Non-local Neural Networks for Semantic Segmentation, ICCV 2019, https://arxiv.org/abs/1908.07678"
    stages = 2
    presets: ClassVar = {"geoseg": ANNOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes)
        self.options: ANNOptions = self.choose_options(preset, options)
        middle, deep = in_channels
        width, keys = self.options.channels, self.options.key_channels
        self.fusion = PooledAttention(deep, keys, middle)
        self.mix = nn.Sequential(nn.Conv2d(2 * deep, deep, 1, bias=False), BatchNorm(deep))
        self.reduce = conv_bn_relu(deep, width, 3)
        self.pyramid = PooledAttention(width, keys)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits ``(N, classes, h, w)`` of the stage 3 and stage 4 maps."""
        middle, deep = features
        x = self.reduce(self.mix(torch.cat([self.fusion(deep, middle), deep], 1)))
        return Outputs(self.classify(self.fuse(torch.cat([self.pyramid(x, x), x], 1))), {})


class PooledAttention(nn.Module):
    """Attention of a map's positions to the pooled positions of `source`, scaled by 1/√d, and a way back.

    Without `source_channels` the source is the map itself, and queries and keys come from one convolution.
    """

    def __init__(
        self, channels: int, key_channels: int, source_channels: int | None = None
    ) -> None:
        super().__init__()
        self.query = conv_bn_relu(channels, key_channels)
        self.key = (
            self.query if source_channels is None else conv_bn_relu(source_channels, key_channels)
        )
        # Biases of these two would be taken out again by the normalisation of the convolution that follows the block.
        self.value = nn.Conv2d(source_channels or channels, key_channels, 1, bias=False)
        self.out = nn.Conv2d(key_channels, channels, 1, bias=False)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """The context ``(N, channels, h, w)`` of a map ``(N, channels, h, w)``."""
        query = self.query(x)
        key = query if self.key is self.query else self.key(source)
        keys, values = (
            pool_pyramid(y, SIZES).to(y.dtype) for y in (key, self.value(source))
        )  # (N, d, 110)
        context: Tensor = self.out(attend(query, keys, values))
        return context
