"""ACFNet's scheme: each pixel gathers the centers of the classes that a coarse map sees in it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from geoseg.models.context.base import ContextHead, Maps, Outputs, WidthOptions
from geoseg.models.layers import Classifier, at_least_float32, class_means, conv_bn_relu


class ACFHead(ContextHead):
    """Class centers F_k and class attention y_i, with one coarse map P.

    As in OCRNet's comparison (table 1), P comes from a linear classifier of stage 3 without an
    atrous pyramid before it, and the context is concatenated with the pixel's own representation.
    """

    name = "acf"
    paper = (
        "ACFNet: Attentional Class Feature Network for Semantic Segmentation, ICCV 2019, "
        "https://arxiv.org/abs/1909.09408"
    )
    stages = 2
    radius = 1
    presets: ClassVar = {"geoseg": WidthOptions()}
    aux_weights: ClassVar = {"coarse": 0.4}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        middle, deep = in_channels
        width = self.options.channels
        self.coarse = Classifier(middle, classes)
        self.reduce = conv_bn_relu(deep, width, 3)
        self.refine = conv_bn_relu(width, width)
        self.fuse = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``coarse`` logits of the stage 3 map, and ``x``, the stage 4 map reduced."""
        middle, deep = features
        return {"coarse": self.coarse(middle), "x": self.reduce(deep)}

    def context(self, maps: Maps) -> Outputs:
        """Logits and ``coarse`` logits ``(N, classes, h, w)``."""
        coarse, x = maps["coarse"], maps["x"]
        with torch.autocast(x.device.type, enabled=False):
            p = at_least_float32(coarse).softmax(1).flatten(2)  # (N, K, h·w)
            centers = class_means(coarse, x)  # F_k = Σ_i P_ki x_i / Σ_i P_ki, (N, K, C)
            context = centers.transpose(1, 2) @ p  # y_i = Σ_k P_ki F_k, (N, C, h·w)
        y = self.refine(context.reshape(x.shape).to(x.dtype))
        return Outputs(self.classify(self.fuse(torch.cat([x, y], 1))), {"coarse": coarse})
