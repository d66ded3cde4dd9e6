"""Disentangled non-local attention: what two pixels share, and what makes one matter to all."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import PositiveFloat
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import AttentionWidthOptions, ContextHead, Maps, Outputs
from geoseg.models.layers import (
    BatchNorm,
    Classifier,
    at_least_float32,
    attend,
    conv_bn_relu,
    tokens,
)


@dataclass(frozen=True)
class DNLOptions(AttentionWidthOptions):
    """Widths, and how sharp the pairwise term is."""

    temperature: PositiveFloat = 1.0
    """What the pairwise products are divided by before their softmax; 0.05 in mmsegmentation."""


class DNLHead(ContextHead):
    """The block between two 3x3 convolutions, concatenated with the encoder's map."""

    name = "dnl"
    paper = "Disentangled Non-Local Neural Networks, ECCV 2020, https://arxiv.org/abs/2006.06668"
    radius = 1
    presets: ClassVar = {"geoseg": DNLOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, deep = self.options.channels, in_channels[-1]
        self.reduce = conv_bn_relu(deep, width, 3)
        self.attention = DisentangledAttention(
            width, self.options.key_channels, self.options.temperature
        )
        self.smooth = conv_bn_relu(width, width, 3)
        self.fuse = conv_bn_relu(deep + width, width, 3)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``deep``, the deepest map ``(N, in_channels[-1], h, w)``, and ``x``, it reduced."""
        return {"deep": features[-1], "x": self.reduce(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        x = self.smooth(self.attention(maps.pop("x")))
        return Outputs(self.classify(self.fuse(torch.cat([maps["deep"], x], 1))), {})


class DisentangledAttention(nn.Module):
    """Weights softmax_j((q_i - μ_q)·(k_j - μ_k) / τ) + softmax_j(m_j), a pairwise and a unary term.

    τ is the temperature. The means are over the positions of an image. The weighted sum of the
    values goes back through one convolution and its normalisation, and is added to the map.
    """

    def __init__(self, channels: int, key_channels: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.query = nn.Conv2d(channels, key_channels, 1)
        self.key = nn.Conv2d(channels, key_channels, 1)
        self.value = nn.Conv2d(channels, key_channels, 1)
        self.mask = nn.Conv2d(channels, 1, 1)
        self.out = nn.Sequential(
            nn.Conv2d(key_channels, channels, 1, bias=False), BatchNorm(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map ``(N, C, h, w)`` of a map ``(N, C, h, w)``."""
        q, k, v, m = (conv(x) for conv in (self.query, self.key, self.value, self.mask))
        white_q, white_k = (x - x.mean((2, 3), keepdim=True) for x in (q, k))
        pairwise = attend(white_q, white_k, v, scale=1 / self.temperature)
        with torch.autocast(x.device.type, enabled=False):
            share = at_least_float32(m).flatten(2).softmax(2)  # (N, 1, h·w)
            unary = (
                (share @ tokens(at_least_float32(v))).transpose(1, 2).unsqueeze(3)
            )  # (N, d, 1, 1)
        context: Tensor = self.out(pairwise + unary.to(v.dtype))
        return x + context
