"""Self-attention: each pixel gathers from all others by similarity."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from geoseg.models.context.base import AttentionWidthOptions, ContextHead, Maps, Outputs
from geoseg.models.layers import Classifier, attend, conv_bn_relu


class SelfAttentionHead(ContextHead):
    """Softmax of scaled products over all positions, beside the pixel's own representation.

    The arrangement is the one that OCRNet's table 4 counts: single 1x1 convolutions for queries,
    keys, values and the way back, and a 1x1 convolution of the concatenation.
    """

    name = "self_attention"
    paper = (
        "OCNet: Object Context Network for Scene Parsing, 2018, https://arxiv.org/abs/1809.00916"
    )
    radius = 1
    presets: ClassVar = {"geoseg": AttentionWidthOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, keys = self.options.channels, self.options.key_channels
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.query = conv_bn_relu(width, keys)
        self.key = conv_bn_relu(width, keys)
        self.value = conv_bn_relu(width, keys)
        self.out = conv_bn_relu(keys, width)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``x``: the deepest map ``(N, in_channels[-1], h, w)`` reduced to ``(N, C, h, w)``."""
        return {"x": self.reduce(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        x = maps["x"]
        context = self.out(attend(self.query(x), self.key(x), self.value(x)))
        return Outputs(self.classify(self.fuse(torch.cat([context, x], 1))), {})
