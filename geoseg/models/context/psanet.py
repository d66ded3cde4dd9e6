"""PSANet: each pixel predicts how it collects from and distributes to each relative position."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, Maps, Outputs, Size, WidthOptions
from geoseg.models.layers import Classifier, at_least_float32, conv_bn_relu, resize, tokens


@dataclass(frozen=True)
class PSANetOptions(WidthOptions):
    """The paper's sizes; `channels` is the width of each branch."""

    size: Size = 97
    """Side of the feature maps in training, which sets how many relative positions a pixel predicts
    weights for: 97 for crops of 769 pixels at output stride 8. Smaller maps use the middle of the
    prediction. On larger ones, positions farther off than in training take the weight of the
    farthest; the paper tests on crops of the training size, so a window of that size is its use."""


class PSANetHead(ContextHead):
    """Two branches, collect and distribute, at half the map's size, concatenated and fused.

    Weights are a softmax over the positions that a pixel collects from, as in the released code.
    The released code resizes with ``align_corners=True``, which is the option `resizing` here.
    """

    name = "psanet"
    paper = (
        "PSANet: Point-wise Spatial Attention Network for Scene Parsing, ECCV 2018, "
        "https://hszhao.github.io/papers/eccv18_psanet.pdf"
    )
    radius = 0
    presets: ClassVar = {"geoseg": PSANetOptions()}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, deep = self.options.channels, in_channels[-1]
        reach = (self.options.size + 1) // 2 - 1
        corners = self.options.corners
        self.collect = PointwiseAttention(deep, width, reach, distribute=False, corners=corners)
        self.distribute = PointwiseAttention(deep, width, reach, distribute=True, corners=corners)
        self.project = conv_bn_relu(2 * width, deep)
        self.fuse = conv_bn_relu(2 * deep, width, 3)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``deep``: the deepest map ``(N, in_channels[-1], h, w)`` itself."""
        return {"deep": features[-1]}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``."""
        x = maps["deep"]
        context = self.project(torch.cat([self.collect(x), self.distribute(x)], 1))
        context = resize(context, x.shape[2:], corners=self.options.corners)
        return Outputs(self.classify(self.fuse(torch.cat([x, context], 1))), {})


class PointwiseAttention(nn.Module):
    """One branch: z_i = Σ_j a_ij x_j, a_ij taken from a map over relative positions.

    Collecting, pixel i predicts the weights of its own sum. Distributing, each pixel j predicts how
    much it gives to each, i among them. The map over relative positions has side 2·reach + 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        reach: int,
        *,
        distribute: bool,
        corners: bool = False,
    ) -> None:
        super().__init__()
        self.corners = corners
        self.reach = reach
        self.distribute = distribute
        self.reduce = conv_bn_relu(in_channels, channels)
        self.adapt = conv_bn_relu(channels, channels)
        self.predict = nn.Conv2d(channels, (2 * reach + 1) ** 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, ⌈h/2⌉, ⌈w/2⌉)`` of a map ``(N, in_channels, h, w)``."""
        x = self.reduce(x)
        half = ((x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2)
        x = resize(x, half, corners=self.corners)
        predicted = tokens(self.predict(self.adapt(x)))  # (N, T, (2·reach + 1)²)
        index = self._relative(half, x.device).expand(x.shape[0], -1, -1)
        with torch.autocast(x.device.type, enabled=False):
            # (N, T, T): row i has what pixel i predicts about each pixel.
            weights = at_least_float32(predicted).gather(2, index)
            weights = (weights.transpose(1, 2) if self.distribute else weights).softmax(2)
            z = at_least_float32(x).flatten(2) @ weights.transpose(1, 2)  # (N, C, T)
        return z.reshape(x.shape).to(x.dtype)

    def _relative(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """``(T, T)`` place of position j (column) in the map that position i (row) predicts."""
        row, column = (self._offsets(length, device) for length in size)
        side = 2 * self.reach + 1
        index = row[:, None, :, None] * side + column[None, :, None, :]  # (h, w, h, w)
        return index.flatten(2).flatten(0, 1)

    def _offsets(self, length: int, device: torch.device) -> Tensor:
        """``(length, length)`` from each place to each other, 0 being `reach` places before it."""
        place = torch.arange(length, device=device)
        return (place - place[:, None]).clamp(-self.reach, self.reach) + self.reach
