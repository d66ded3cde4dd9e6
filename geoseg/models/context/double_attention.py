"""Double attention: a few global descriptors are gathered, and each pixel takes its share."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import AttentionWidthOptions, ContextHead, Maps, Outputs, Size
from geoseg.models.layers import Classifier, at_least_float32, conv_bn_relu, tokens


@dataclass(frozen=True)
class DoubleAttentionOptions(AttentionWidthOptions):
    """The widths of the papers' comparisons; `key_channels` is m, the width of A."""

    descriptors: Size = 64
    """How many are gathered, n; 64 was OCRNet's best (table 7)."""


class DoubleAttentionHead(ContextHead):
    """Z = (A softmax(B)ᵀ) softmax(V): both attention maps are predicted from the pixels alone.

    A, B and V are plain 1x1 convolutions. softmax(B) runs over the positions of each descriptor,
    softmax(V) over the descriptors of each position. Z, brought back to `channels`, is concatenated
    with the pixel's own representation as in OCRNet's comparison; the block's own paper adds it.
    """

    name = "double_attention"
    paper = "A²-Nets: Double Attention Networks, NeurIPS 2018, https://arxiv.org/abs/1810.11579"
    radius = 1
    presets: ClassVar = {"geoseg": DoubleAttentionOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, keys = self.options.channels, self.options.key_channels
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.features = nn.Conv2d(width, keys, 1)
        self.gather = nn.Conv2d(width, self.options.descriptors, 1)
        self.distribute = nn.Conv2d(width, self.options.descriptors, 1)
        self.out = conv_bn_relu(keys, width)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``x``: the deepest map ``(N, in_channels[-1], h, w)`` reduced to ``(N, C, h, w)``."""
        return {"x": self.reduce(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        x = maps["x"]
        a, b, v = self.features(x), self.gather(x), self.distribute(x)
        with torch.autocast(x.device.type, enabled=False):
            # (N, m, h·w) @ (N, h·w, n), then (N, m, n) @ (N, n, h·w). The softmaxes have no names,
            # which would keep them in memory until the end.
            descriptors = at_least_float32(a).flatten(2) @ tokens(at_least_float32(b)).softmax(1)
            z = (descriptors @ at_least_float32(v).flatten(2).softmax(1)).reshape(a.shape)
        return Outputs(self.classify(self.fuse(torch.cat([self.out(z.to(x.dtype)), x], 1))), {})
