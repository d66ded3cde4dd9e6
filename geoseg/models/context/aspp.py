"""DeepLabv3's atrous pyramid: each pixel with those at three distances, and the image's mean."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, HeadOptions, Maps, Outputs, Size
from geoseg.models.layers import Classifier, at_least_float32, conv_bn_relu

RATES = (12, 24, 36)
"""Dilations of the 3x3 convolutions at output stride 8."""


@dataclass(frozen=True)
class ASPPOptions(HeadOptions):
    """The paper's width; comparisons in other papers take another."""

    channels: Size = 256
    """Width of each branch and of the fusion."""
    kernel: Literal[1, 3] = 1
    """Side of the convolution that fuses the branches: 1 in the paper, 3 in ISNet's comparison."""
    rates: Annotated[tuple[Size, ...], Field(min_length=1, max_length=16)] = RATES
    """Dilations of the 3x3 convolutions; half of these at output stride 16."""
    smooth: bool = False
    """Whether a 3x3 convolution follows the fusion, as in torchvision."""


class ASPPHead(ContextHead):
    """Five parallel branches, concatenated and fused by one convolution."""

    name = "aspp"
    paper = (
        "Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, "
        "https://arxiv.org/abs/1706.05587"
    )
    radius = 0
    presets: ClassVar = {"geoseg": ASPPOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width = self.options.channels
        rates = self.options.rates
        self.pyramid = AtrousPyramid(in_channels[-1], width, rates)
        self.fuse = conv_bn_relu((2 + len(rates)) * width, width, self.options.kernel)
        self.smooth = conv_bn_relu(width, width, 3) if self.options.smooth else nn.Identity()
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``deep``: the deepest map ``(N, in_channels[-1], h, w)`` itself."""
        return {"deep": features[-1]}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        fused = self.fuse(self.pyramid(maps["deep"]))
        return Outputs(self.classify(self.smooth(fused)), {})


class AtrousPyramid(nn.Module):
    """A 1x1 convolution, three dilated 3x3 ones and the image's mean, each to `channels`."""

    def __init__(self, in_channels: int, channels: int, rates: Sequence[int] = RATES) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(in_channels, channels),
                *(conv_bn_relu(in_channels, channels, 3, rate) for rate in rates),
            ]
        )
        self.image = conv_bn_relu(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 5·channels, h, w)`` of a map ``(N, in_channels, h, w)``."""
        mean = self.image(
            at_least_float32(x).mean((2, 3), keepdim=True).to(x.dtype)
        )  # (N, C, 1, 1)
        maps = [*(branch(x) for branch in self.branches), mean.expand(-1, -1, *x.shape[2:])]
        return torch.cat(maps, 1)
