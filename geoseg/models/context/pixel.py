"""The per-pixel baseline: the least that a network can do: a baseline for all others."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from geoseg.models.context.base import ContextHead, Maps, NoOptions, Outputs
from geoseg.models.layers import Classifier


class PixelHead(ContextHead):
    """A 1x1 convolution of the image: logistic regression on the bands, without an encoder."""

    name = "pixel"
    paper = "logistic regression on the bands of each pixel"
    stages = 0
    radius = 0
    contextual = False
    presets: ClassVar = {"geoseg": NoOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        self.classify = Classifier(in_channels[-1], classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``logits`` ``(N, classes, H, W)`` of the image ``(N, bands, H, W)``, the only map."""
        return {"logits": self.classify(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """The logits, which have no context."""
        return Outputs(maps["logits"], {})
