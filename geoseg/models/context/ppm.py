"""PSPNet's pyramid pooling: means over grids of 1, 4, 9 and 36 cells, under each pixel."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, Maps, Outputs, WidthOptions
from geoseg.models.layers import Classifier, conv_bn_relu, pool_pyramid, resize

SIZES = (1, 2, 3, 6)
"""Cells along each side of the grids."""


class PPMHead(ContextHead):
    """The encoder's map and its pyramid, concatenated, and a 3x3 convolution."""

    name = "ppm"
    paper = "Pyramid Scene Parsing Network, CVPR 2017, https://arxiv.org/abs/1612.01105"
    radius = 0
    presets: ClassVar = {"geoseg": WidthOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, deep = self.options.channels, in_channels[-1]
        level = max(1, deep // len(SIZES))
        self.pyramid = PyramidPooling(deep, level, corners=self.options.corners)
        self.fuse = conv_bn_relu(deep + len(SIZES) * level, width, 3)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``deep``: the deepest map ``(N, in_channels[-1], h, w)`` itself."""
        return {"deep": features[-1]}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        x = maps["deep"]
        return Outputs(self.classify(self.fuse(torch.cat([x, self.pyramid(x)], 1))), {})


class PyramidPooling(nn.Module):
    """Each grid's means through a 1x1 convolution, interpolated to the map's size, concatenated."""

    def __init__(self, in_channels: int, channels: int, *, corners: bool = False) -> None:
        super().__init__()
        self.corners = corners
        self.levels = nn.ModuleList(conv_bn_relu(in_channels, channels) for _ in SIZES)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 4·channels, h, w)`` of a map ``(N, in_channels, h, w)``."""
        grids = torch.split(pool_pyramid(x, SIZES).to(x.dtype), [size**2 for size in SIZES], 2)
        pooled = [  # (N, channels, size, size) each
            level(means.reshape(*means.shape[:2], size, size))
            for level, means, size in zip(self.levels, grids, SIZES, strict=True)
        ]
        maps = [resize(y, x.shape[2:], corners=self.corners) for y in pooled]
        return torch.cat(maps, 1)
