"""The fully convolutional baseline: no context beyond the encoder's own."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor

from geoseg.models.context.base import ContextHead, DropoutShare, Maps, Outputs, WidthOptions
from geoseg.models.layers import Classifier, conv_bn_relu


@dataclass(frozen=True)
class FCNOptions(WidthOptions):
    """The baseline's options; `channels` is the width of its 3x3 convolution."""

    dropout: DropoutShare = 0.0
    """Dropout before the classifier."""


class FCNHead(ContextHead):
    """A 3x3 convolution of the deepest map and a classifier: the baseline of the papers' tables."""

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
        self.reduce = conv_bn_relu(in_channels[-1], self.options.channels, 3)
        self.classify = Classifier(self.options.channels, classes, self.options.dropout)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``logits`` ``(N, classes, h, w)`` of the deepest map ``(N, in_channels[-1], h, w)``."""
        return {"logits": self.classify(self.reduce(features[-1]))}

    def context(self, maps: Maps) -> Outputs:
        """The logits, which have no context."""
        return Outputs(maps["logits"], {})
