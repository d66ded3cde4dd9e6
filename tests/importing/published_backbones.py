"""ResNet and HRNet as their papers and public code have them, with the names of published weights.

The widths and depths are given, so that tests can have small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(cin: int, cout: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(cin, cout, kernel, stride, padding, dilation, bias=False)


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1 to four times the width."""

    def __init__(self, cin: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(cin, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride, dilation), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module | None = None
        if stride > 1 or cin != 4 * width:
            self.downsample = nn.Sequential(
                conv(cin, 4 * width, 1, stride), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class Basic(nn.Module):
    """Two 3x3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + x).relu()


class ResNet50(nn.Module):
    """At output stride 8: the first block of a dilated stage has the dilation of the stage before.

    Args:
        stem: widths of the convolutions of its stem, named as in mmsegmentation, where there are
            three, or as in openseg.pytorch, where `ceil` is true.
        ceil: whether the pooling keeps the last row and column.
    """

    def __init__(self, stem: Sequence[int], *, ceil: bool = False) -> None:
        super().__init__()
        self.ceil = ceil
        kernel, cin, layers = 7 if len(stem) == 1 else 3, 3, []
        for number, width in enumerate(stem, 1):
            layers += [
                (f"conv{number}", conv(cin, width, kernel, 2 if number == 1 else 1)),
                (f"bn{number}", nn.BatchNorm2d(width)),
                (f"relu{number}", nn.ReLU()),
            ]
            cin = width
        self.first = nn.Sequential()
        for number, (name, layer) in enumerate(layers):
            self.first.add_module(name if ceil else str(number), layer)
        plans = ((64, 3, 1, 1), (128, 4, 2, 1), (256, 6, 1, 2), (512, 3, 1, 4))
        for number, (width, depth, stride, dilation) in enumerate(plans, 1):
            blocks = [Bottleneck(cin, width, stride, max(1, dilation // 2))]
            blocks += [Bottleneck(4 * width, width, 1, dilation) for _ in range(depth - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
            cin = 4 * width

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(self.first(x), 3, 2, 1, ceil_mode=self.ceil)
        x = self.layer2(self.layer1(x))
        middle = self.layer3(x)
        return [middle, self.layer4(middle)]

    def named(self) -> dict[str, Tensor]:
        """Its tensors under published names."""
        stem = "resinit" if self.ceil else "stem"
        plain = {"first.0": "conv1", "first.1": "bn1"} if len(self.first) == 3 else {}
        return {
            _renamed(name, {**plain, "first": stem}): tensor
            for name, tensor in self.state_dict().items()
        }


def _renamed(name: str, beginnings: dict[str, str]) -> str:
    for old, new in beginnings.items():
        if name.startswith(f"{old}."):
            return f"{new}{name[len(old) :]}"
    return name


class Fused(nn.Module):
    """Branches of one resolution each, every one added to every other at its size."""

    def __init__(self, widths: Sequence[int], depth: int, **resize: Any) -> None:
        super().__init__()
        self.resize = resize
        self.branches = nn.ModuleList(
            nn.Sequential(*(Basic(width) for _ in range(depth))) for width in widths
        )
        rows = [
            [self._between(widths, i, j) for j in range(len(widths))] for i in range(len(widths))
        ]
        self.fuse_layers = nn.ModuleList(nn.ModuleList(row) for row in rows)

    @staticmethod
    def _between(widths: Sequence[int], i: int, j: int) -> nn.Module:
        """From branch j to branch i; the resizing is done elsewhere."""
        if j == i:
            return nn.Identity()
        if j > i:
            return nn.Sequential(conv(widths[j], widths[i], 1), nn.BatchNorm2d(widths[i]))
        steps = []
        for step in range(i - j):
            last = step == i - j - 1
            cout = widths[i] if last else widths[j]
            steps.append([conv(widths[j], cout, 3, 2), nn.BatchNorm2d(cout)])
            if not last:
                steps[-1].append(nn.ReLU())
        return nn.Sequential(*(nn.Sequential(*step) for step in steps))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for i, row in enumerate(self.fuse_layers):
            parts = [layer(x) for layer, x in zip(row, maps, strict=True)]
            size = maps[i].shape[2:]
            parts = [
                F.interpolate(x, size, mode="bilinear", **self.resize) if j > i else x
                for j, x in enumerate(parts)
            ]
            fused.append(sum(parts[1:], parts[0]).relu())
        return fused


class HRNet(nn.Module):
    """Four branches, resized to the finest and concatenated.

    Args:
        widths: of the branches.
        stem_width: of the bottlenecks of the first stage.
        stem_depth: how many there are.
        modules: in stages 2, 3 and 4.
        depth: blocks of each branch.
        resize: ``align_corners``.
    """

    def __init__(
        self,
        widths: Sequence[int],
        stem_width: int,
        stem_depth: int,
        modules: Sequence[int],
        depth: int,
        **resize: Any,
    ) -> None:
        super().__init__()
        self.resize = resize
        self.conv1, self.bn1 = conv(3, 64, 3, 2), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = conv(64, 64, 3, 2), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(
            *(
                Bottleneck(64 if number == 0 else 4 * stem_width, stem_width)
                for number in range(stem_depth)
            )
        )
        before: tuple[int, ...] = (4 * stem_width,)
        for stage, count in zip((2, 3, 4), modules, strict=True):
            after = tuple(widths[:stage])
            setattr(self, f"transition{stage - 1}", self._transition(before, after))
            fused = (Fused(after, depth, **resize) for _ in range(count))
            setattr(self, f"stage{stage}", nn.Sequential(*fused))
            before = after

    @staticmethod
    def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
        layers: list[nn.Module] = []
        for number, width in enumerate(after):
            if number >= len(before):
                step = (conv(before[-1], width, 3, 2), nn.BatchNorm2d(width), nn.ReLU())
                layers.append(nn.Sequential(nn.Sequential(*step)))
            elif before[number] != width:
                step = (conv(before[number], width, 3), nn.BatchNorm2d(width), nn.ReLU())
                layers.append(nn.Sequential(*step))
            else:
                layers.append(nn.Identity())
        return nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        maps = [self.layer1(x)]
        for stage in (2, 3, 4):
            transition = getattr(self, f"transition{stage - 1}")
            maps = [
                layer(maps[min(number, len(maps) - 1)]) for number, layer in enumerate(transition)
            ]
            maps = getattr(self, f"stage{stage}")(maps)
        size = maps[0].shape[2:]
        rest = [F.interpolate(y, size, mode="bilinear", **self.resize) for y in maps[1:]]
        return [torch.cat([maps[0], *rest], 1)] * 2
