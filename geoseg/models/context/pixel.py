"""The per-pixel baseline: the least that a network can do, and so a benchmark of all that is around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor

from geoseg.models.context.base import ContextHead, HeadOptions, Outputs
from geoseg.models.layers import Classifier


@dataclass(frozen=True)
class PixelOptions(HeadOptions):
    """The per-pixel baseline has no options."""


class PixelHead(ContextHead):
    """One 1x1 convolution of the image itself: logistic regression on the bands, without an encoder."""

    name = "pixel"
    paper = "logistic regression on the bands of each pixel"
    stages = 0
    presets: ClassVar = {"geoseg": PixelOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes)
        self.options: PixelOptions = self.choose_options(preset, options)
        self.classify = Classifier(in_channels[-1], classes)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits ``(N, classes, H, W)`` of the image ``(N, bands, H, W)``, the one map in `features`."""
        return Outputs(self.classify(features[-1]), {})
