"""Double attention: features are gathered into a few global descriptors, and each pixel takes its share of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, Outputs, Switches
from geoseg.models.layers import Classifier, conv_bn_relu, tokens, wide


@dataclass(frozen=True)
class DoubleAttentionSwitches(Switches):
    """The widths of the papers' comparisons."""

    channels: int = 512
    """Width of the pixels' representations."""
    key_channels: int = 256
    """Width m of the gathered features A."""
    descriptors: int = 64
    """How many are gathered, n; 64 was OCRNet's best (table 7)."""


class DoubleAttentionHead(ContextHead):
    """Z = (A softmax(B)ᵀ) softmax(V): both attention maps are predicted from the pixels alone.

    A, B and V are plain 1x1 convolutions. softmax(B) runs over the positions of each descriptor, softmax(V) over the
    descriptors of each position. Z, brought back to `channels`, is concatenated with the pixel's own representation
    as in OCRNet's comparison; the block's own paper adds it.
    """

    name = "double_attention"
    paper = "A²-Nets: Double Attention Networks, NeurIPS 2018, https://arxiv.org/abs/1810.11579"
    presets: ClassVar = {"geoseg": DoubleAttentionSwitches()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **given: Any
    ) -> None:
        super().__init__(in_channels, classes)
        self.switches: DoubleAttentionSwitches = self.choose(preset, given)
        width, keys, count = (
            self.switches.channels,
            self.switches.key_channels,
            self.switches.descriptors,
        )
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.features = nn.Conv2d(width, keys, 1)
        self.gather = nn.Conv2d(width, count, 1)
        self.distribute = nn.Conv2d(width, count, 1)
        self.out = conv_bn_relu(keys, width)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits ``(N, classes, h, w)`` of the deepest map ``(N, in_channels[-1], h, w)``."""
        x = self.reduce(features[-1])
        a, b, v = self.features(x), self.gather(x), self.distribute(x)
        with torch.autocast(x.device.type, enabled=False):
            descriptors = wide(a).flatten(2) @ tokens(wide(b)).softmax(1)  # (N, m, n)
            z = (descriptors @ wide(v).flatten(2).softmax(1)).reshape(a.shape)
        return Outputs(self.classify(self.fuse(torch.cat([self.out(z.to(x.dtype)), x], 1))), {})
