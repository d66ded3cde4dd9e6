"""CCNet: each pixel attends along its row and column, twice, and so reaches all others."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, Maps, Outputs, Size, WidthOptions
from geoseg.models.layers import Classifier, at_least_float32, conv_bn_relu


@dataclass(frozen=True)
class CCNetOptions(WidthOptions):
    """The options of the paper's ablations; queries and keys have an eighth of `channels`."""

    loops: Size = 2
    """How often the attention is applied, R: at 2, every pixel is reached from every other."""


class CCNetHead(ContextHead):
    """Recurrent criss-cross attention between 3x3 convolutions, beside the encoder's map."""

    name = "ccnet"
    paper = (
        "CCNet: Criss-Cross Attention for Semantic Segmentation, ICCV 2019, "
        "https://arxiv.org/abs/1811.11721"
    )
    radius = 1
    presets: ClassVar = {"geoseg": CCNetOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width = self.options.channels
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.attention = CrissCrossAttention(width)
        self.smooth = conv_bn_relu(width, width, 3)
        self.fuse = conv_bn_relu(in_channels[-1] + width, width, 3)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``deep``, the deepest map ``(N, in_channels[-1], h, w)``, and ``x``, it reduced."""
        return {"deep": features[-1], "x": self.reduce(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        x = maps.pop("x")
        for _ in range(self.options.loops):
            x = self.attention(x)
        return Outputs(self.classify(self.fuse(torch.cat([maps["deep"], self.smooth(x)], 1))), {})


class CrissCrossAttention(nn.Module):
    """One softmax over the h + w - 1 positions in a pixel's row and column, added through a gate.

    Rows and columns are two batches of small matrix products. Each holds the pixel itself, so that
    of the column is masked to count once.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, max(1, channels // 8), 1)
        self.key = nn.Conv2d(channels, max(1, channels // 8), 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map ``(N, C, h, w)`` of a map ``(N, C, h, w)``."""
        q, k, v = (at_least_float32(conv(x)) for conv in (self.query, self.key, self.value))
        height = x.shape[2]
        with torch.autocast(x.device.type, enabled=False):
            row = q.permute(0, 2, 3, 1) @ k.permute(0, 2, 1, 3)  # (N, h, w, w)
            column = q.permute(0, 3, 2, 1) @ k.permute(0, 3, 1, 2)  # (N, w, h, h)
            itself = torch.eye(height, dtype=torch.bool, device=x.device)
            column = column.masked_fill(itself, -torch.inf).transpose(1, 2)  # (N, h, w, h)
            weights = torch.cat([column, row], 3).softmax(3)
            context = weights[..., height:] @ v.permute(0, 2, 3, 1)  # (N, h, w, C)
            down = weights[..., :height].transpose(1, 2) @ v.permute(0, 3, 2, 1)  # (N, w, h, C)
            context = (context + down.transpose(1, 2)).permute(0, 3, 1, 2)
        return x + (self.alpha * context).to(x.dtype)
