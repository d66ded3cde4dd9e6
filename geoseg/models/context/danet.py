"""DANet: attention between all positions and attention between all channels, side by side."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, Maps, Outputs, WidthOptions
from geoseg.models.layers import Classifier, at_least_float32, attend, conv_bn_relu, tokens


@dataclass(frozen=True)
class DANetOptions(WidthOptions):
    """The options of the paper's ablation; queries and keys have an eighth of `channels`."""

    attention: Literal["both", "position", "channel"] = "both"
    """Which branches there are."""


class DANetHead(ContextHead):
    """Each branch: a 3x3 convolution, its attention, a 3x3 convolution; the branches are added.

    The released code also trains a classifier on each branch, which the paper does not mention;
    they are left out.
    """

    name = "danet"
    paper = (
        "Dual Attention Network for Scene Segmentation, CVPR 2019, https://arxiv.org/abs/1809.02983"
    )
    radius = 1
    presets: ClassVar = {"geoseg": DANetOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width = self.options.channels
        attentions: dict[str, nn.Module] = {
            "position": PositionAttention(width),
            "channel": ChannelAttention(),
        }
        self.branches = nn.ModuleList(
            nn.Sequential(
                conv_bn_relu(in_channels[-1], width, 3), attention, conv_bn_relu(width, width, 3)
            )
            for name, attention in attentions.items()
            if self.options.attention in ("both", name)
        )
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """What the first convolution of each branch makes of the deepest map, ``(N, C, h, w)``."""
        return {str(number): reduce(features[-1]) for number, (reduce, *_) in self._numbered()}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        branches = [
            smooth(attention(maps.pop(str(number))))
            for number, (_, attention, smooth) in self._numbered()
        ]
        return Outputs(self.classify(sum(branches[1:], branches[0])), {})

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        """Each branch, three modules, with its number."""
        return enumerate(self.branches)


class PositionAttention(nn.Module):
    """E_j = α Σ_i s_ji D_i + A_j (2), s the softmax over i of B_i·C_j (1), α = 0 at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, max(1, channels // 8), 1)
        self.key = nn.Conv2d(channels, max(1, channels // 8), 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map ``(N, C, h, w)`` of a map ``(N, C, h, w)``."""
        context = attend(self.query(x), self.key(x), self.value(x), scale=1.0)
        return x + self.alpha * context


class ChannelAttention(nn.Module):
    """E_j = β Σ_i x_ji A_i + A_j (4) over channels i, β = 0 at the start (`alpha` here).

    The released code, unlike (3), takes the softmax of the negative products: a channel attends to
    those unlike it. That is what was trained and measured, so it is what is done here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """A map ``(N, C, h, w)`` of a map ``(N, C, h, w)``."""
        with torch.autocast(x.device.type, enabled=False):
            a = at_least_float32(x)
            weights = (-(a.flatten(2) @ tokens(a))).softmax(2)  # (N, C, C)
            context = (weights @ a.flatten(2)).reshape(x.shape)  # (N, C, h, w)
        return x + (self.alpha * context).to(x.dtype)
