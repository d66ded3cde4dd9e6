"""APCNet: each pixel weighs the means of a pyramid of grids. Equation numbers: the paper's."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, DropoutShare, HeadOptions, Maps, Outputs, Size
from geoseg.models.layers import (
    Classifier,
    apply_concatenated,
    at_least_float32,
    conv_bn_relu,
    pool_pyramid,
)


@dataclass(frozen=True)
class APCNetOptions(HeadOptions):
    """What the paper leaves open, and the parts that its ablations switch off."""

    channels: Size = 512
    """Width of x, y and z (sec. 3.2)."""
    scales: Annotated[tuple[Size, ...], Field(min_length=1, max_length=16)] = (1, 2, 3, 6)
    """s of each pyramid level, X divided into s x s subregions (sec. 3.1; chosen by table 2)."""
    gla: bool = True
    """Whether affinities are guided by g(X), eq. (2), or made of x_i alone (table 3)."""
    guidance: Literal["add", "concat"] = "add"
    """How x and g(X) are integrated (sec. 3.2): added, as in the released code, or concatenated."""
    residual: Literal["conv", "plain"] = "conv"
    """How x is added to eq. (1): after a 1x1 convolution of the sum, and before another (released
    code), or directly (sec. 3.2). The affinities are not normalised and the sum grows with s²; only
    the first keeps scales alike."""
    deep: bool = True
    """Whether stage 3 is supervised too (table 4)."""
    dropout: DropoutShare = 0.1
    """Dropout before each of the classifiers (released code)."""


class APCNetHead(ContextHead):
    """Adaptive pyramid context: an adaptive context module (ACM) per scale, and the encoder's map.

    Takes stage 4, and stage 3 for the auxiliary logits ``deep`` of the training (their weight is
    not in the paper; 0.4 is the released code's). Preset ``paper`` is the printed text,
    ``released`` the authors' code, which ``geoseg`` follows. In all of them every 1x1 convolution
    but that of the affinities is normalised and rectified, and a 3x3 convolution precedes the
    classifier, of which the paper says nothing.

    Three exact rearrangements: a convolution of a weighted sum is the weighted sum of the convolved
    vectors, the affinities of g are a bias of those of x, and the fusion adds the products of its
    parts. An image alone in its batch has one global vector, see `BatchNorm`.
    """

    name = "apcnet"
    paper = (
        "Adaptive Pyramid Context Network for Semantic Segmentation, CVPR 2019, "
        "https://openaccess.thecvf.com/content_CVPR_2019/html/"
        "He_Adaptive_Pyramid_Context_Network_for_Semantic_Segmentation_CVPR_2019_paper.html"
    )
    stages = 2
    radius = 0
    presets: ClassVar = {
        "geoseg": APCNetOptions(),
        "paper": APCNetOptions(residual="plain", dropout=0.0),
        "released": APCNetOptions(),
    }
    aux_weights: ClassVar = {"deep": 0.4}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        middle, deepest = in_channels
        width, scales, dropout = self.options.channels, self.options.scales, self.options.dropout
        self.contexts = nn.ModuleList(
            AdaptiveContext(deepest, scale, self.options) for scale in scales
        )
        self.fuse = conv_bn_relu(deepest + len(scales) * width, width, 3)
        self.classify = Classifier(width, classes, dropout)
        half = max(1, width // 2)
        self.deep = (
            nn.Sequential(conv_bn_relu(middle, half, 3), Classifier(half, classes, dropout))
            if self.options.deep
            else None
        )

    def local(self, features: Sequence[Tensor]) -> Maps:
        """The stage 4 map itself, and in training that of stage 3."""
        middle, deepest = features
        supervised = self.deep is not None and self.training
        return {"deepest": deepest, **({"middle": middle} if supervised else {})}

    def context(self, maps: Maps) -> Outputs:
        """Logits and in training ``deep`` logits ``(N, classes, h, w)``."""
        deepest = maps["deepest"]
        fused = apply_concatenated(self.fuse, [deepest, *self._contexts(deepest)])  # sec. 3.3
        logits = self.classify(fused)
        if self.deep is None or "middle" not in maps:
            return Outputs(logits, {})
        return Outputs(logits, {"deep": self.deep(maps["middle"])})

    def _contexts(self, features: Tensor) -> list[Tensor]:
        """zˢ of each scale, ``(N, C, h, w)``."""
        scales = self.options.scales
        pooled = torch.split(pool_pyramid(features, scales), [scale * scale for scale in scales], 2)
        return [
            module(features, means.unsqueeze(3))
            for module, means in zip(self.contexts, pooled, strict=True)
        ]


class AdaptiveContext(nn.Module):
    """ACM (sec. 3.2, fig. 2) of one scale s."""

    def __init__(self, in_channels: int, scale: int, options: APCNetOptions) -> None:
        super().__init__()
        width, bins = options.channels, scale * scale
        self.reduce = conv_bn_relu(in_channels, width)
        self.subregions = conv_bn_relu(in_channels, width)
        self.guide = conv_bn_relu(width, width) if options.gla else None
        concat = options.gla and options.guidance == "concat"
        self.affinity = nn.Conv2d(2 * width if concat else width, bins, 1)
        released = options.residual == "conv"
        self.residual = conv_bn_relu(width, width) if released else None
        self.fusion = conv_bn_relu(width, width) if released else None

    def forward(self, features: Tensor, means: Tensor) -> Tensor:
        """The context z ``(N, C, h, w)``.

        Args:
            features: ``(N, in_channels, h, w)``.
            means: their bins' means ``(N, in_channels, s², 1)``.
        """
        x: Tensor = self.reduce(features)
        alpha = self._affinities(x).sigmoid().flatten(2)  # (N, s², h·w)
        y = self.subregions(means.to(x.dtype))  # (N, C, s², 1)
        if self.residual is None or self.fusion is None:
            return _weighted(y, alpha, x) + x
        conv, norm, relu = self.residual
        z = relu(norm(_weighted(conv(y), alpha, x)))  # W (α y) = α (W y)
        fused: Tensor = self.fusion(F.relu(z + x))
        return fused

    def _affinities(self, x: Tensor) -> Tensor:
        """Logits of α, ``(N, s², h, w)``."""
        # Of x and of g: two parts if they are concatenated, one for both if they are added.
        weights = torch.split(self.affinity.weight, x.shape[1], 1)
        logits = F.conv2d(x, weights[0], self.affinity.bias)
        if self.guide is None:
            return logits
        g = self.guide(at_least_float32(x).mean((2, 3), keepdim=True).to(x.dtype))
        return logits + F.conv2d(g, weights[-1])  # W [x; g] or W (x + g)


def _weighted(y: Tensor, alpha: Tensor, x: Tensor) -> Tensor:
    """The sum over j of α_ij y_j (1), of the shape of `x`."""
    return (y.flatten(2) @ alpha).reshape(x.shape)
