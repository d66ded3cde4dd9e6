"""The fully convolutional baseline: no context beyond the encoder's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from geoseg.models.context.base import ContextHead, Outputs, Switches
from geoseg.models.layers import Classifier, conv_bn_relu


@dataclass(frozen=True)
class FCNSwitches(Switches):
    """The baseline's options."""

    channels: int = 512
    """Width of the one 3x3 convolution."""
    dropout: float = 0.0
    """Dropout before the classifier."""


class FCNHead(ContextHead):
    """A 3x3 convolution of the deepest map and a classifier: the baseline row of the papers' tables."""

    name = "fcn"
    paper = "Fully Convolutional Networks for Semantic Segmentation, CVPR 2015, https://arxiv.org/abs/1411.4038"
    presets: ClassVar = {"geoseg": FCNSwitches()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **given: Any
    ) -> None:
        super().__init__(in_channels, classes)
        self.switches: FCNSwitches = self.choose(preset, given)
        self.reduce = conv_bn_relu(in_channels[-1], self.switches.channels, 3)
        self.classify = Classifier(self.switches.channels, classes, self.switches.dropout)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits ``(N, classes, h, w)`` of the deepest map ``(N, in_channels[-1], h, w)``."""
        return Outputs(self.classify(self.reduce(features[-1])), {})
