"""Add your own context system: a file with a head, and a line in the list of heads.

python examples/03_add_a_context_head.py
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

import geoseg
from geoseg.models.context import HEADS, ContextHead, Outputs
from geoseg.models.context.base import HeadOptions, Maps
from geoseg.models.layers import Classifier, conv_bn_relu


@dataclass(frozen=True)
class MeanOptions(HeadOptions):
    """Options of the system: validated, saved in the model file, set in configs."""

    channels: PositiveInt = 256


class MeanHead(ContextHead):
    """Each pixel concatenated with the mean of all pixels (the image-level feature of ParseNet)."""

    name = "mean"
    paper = "ParseNet: Looking Wider to See Better, 2015, https://arxiv.org/abs/1506.04579"
    radius = 1
    presets = {"geoseg": MeanOptions()}  # noqa: RUF012 - read, never changed

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width = self.options.channels
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """What depends on the surroundings alone, within `radius`: it is made once a pixel."""
        return {"x": self.reduce(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)`` of one window of these maps."""
        x = maps["x"]
        mean = x.mean((2, 3), keepdim=True).expand_as(x)
        return Outputs(self.classify(self.fuse(torch.cat([x, mean], 1))), {})


def main() -> None:
    """Register the head, build a network with it, and count what it costs."""
    HEADS[MeanHead.name] = MeanHead  # within geoseg: a line in geoseg/models/context/__init__.py
    net = geoseg.create_model("mean", encoder="resnet18", classes=6, in_channels=4, channels=128)
    with torch.no_grad():
        logits = net.eval()(torch.zeros(1, 4, 100, 130))
    print(f"{tuple(logits.shape)} logits, systems: {', '.join(geoseg.systems()[:20])} ...")
    print(geoseg.cost("mean", feature_shape=(1, 512, 64, 64), classes=6, channels=128))


if __name__ == "__main__":
    main()
