"""The fully convolutional baseline: no context beyond the encoder's own."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, DropoutShare, Maps, Outputs, Size, WidthOptions
from geoseg.models.layers import Classifier, conv_bn_relu


@dataclass(frozen=True)
class FCNOptions(WidthOptions):
    """The baseline's options; `channels` is the width of its convolutions."""

    convs: Size = 1
    """How many convolutions, one after another; 2 in mmsegmentation."""
    kernel: Literal[1, 3] = 3
    """Their side; 1 over HRNet in mmsegmentation."""
    concat: bool = False
    """Whether their map is concatenated with the encoder's and fused by a further convolution, as
    in mmsegmentation."""

    dropout: DropoutShare = 0.0
    """Dropout before the classifier."""


class FCNHead(ContextHead):
    """A 3x3 convolution of the deepest map and a classifier: the baseline of the papers' tables.

    With ``convs=2, concat=True`` it is mmsegmentation's.
    """

    name = "fcn"
    paper = (
        "Fully Convolutional Networks for Semantic Segmentation, CVPR 2015, "
        "https://arxiv.org/abs/1411.4038"
    )
    radius = 1
    contextual = False
    presets: ClassVar = {"geoseg": FCNOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, kernel, deep = self.options.channels, self.options.kernel, in_channels[-1]
        self.reduce = conv_bn_relu(deep, width, kernel)
        self.smooth = nn.Sequential(
            *(conv_bn_relu(width, width, kernel) for _ in range(self.options.convs - 1))
        )
        self.fuse = conv_bn_relu(deep + width, width, kernel) if self.options.concat else None
        self.classify = Classifier(width, classes, self.options.dropout)
        self.radius = kernel // 2 * (self.options.convs + self.options.concat)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``logits`` ``(N, classes, h, w)`` of the deepest map ``(N, in_channels[-1], h, w)``."""
        deep = features[-1]
        x = self.smooth(self.reduce(deep))
        if self.fuse is not None:
            x = self.fuse(torch.cat([deep, x], 1))
        return {"logits": self.classify(x)}

    def context(self, maps: Maps) -> Outputs:
        """The logits, which have no context."""
        return Outputs(maps["logits"], {})
