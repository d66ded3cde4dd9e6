"""OCRNet: each pixel by the object regions that it is related to. Equation numbers: the paper's."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.aspp import AtrousPyramid
from geoseg.models.context.base import ContextHead, DropoutShare, HeadOptions, Maps, Outputs, Size
from geoseg.models.layers import Classifier, at_least_float32, conv_bn_relu, tokens


@dataclass(frozen=True)
class OCRNetOptions(HeadOptions):
    """Where the paper and the released code differ."""

    channels: Size = 512
    """Width of the pixel representations x and z, eqs. (4) and (6)."""
    key_channels: Size = 256
    """Width of φ, ψ and δ, eqs. (3) and (5)."""
    scale: bool = True
    """Whether the relation φᵀψ of eq. (5) is divided by the square root of `key_channels`."""
    relation: Literal["one", "two"] = "one"
    """How many 1x1 convolutions φ and ψ of eq. (5) have."""
    coarse: Literal["linear", "conv", "pointwise"] = "linear"
    """What makes the soft regions of eq. (4): a 1x1 convolution, or one after a 3x3 convolution, or
    one after another 1x1 convolution (HRNet's code, 720 -> 720 channels)."""
    coarse_channels: Size | None = None
    """Width of the convolution before it; None is `channels`, or for ``pointwise`` that of its
    map."""
    pixels: Literal["conv", "aspp"] = "conv"
    """What makes x, eq. (4), of stage 4: a 3x3 convolution, or an atrous pyramid with branches of
    `key_channels` and a 1x1 convolution. Sec. 4.4 combines "OCR with ASPP" and says no more; the
    released code has OCR as a further branch."""
    dropout: DropoutShare = 0.0
    """Dropout before both classifiers (the coarse one only after a 3x3 convolution)."""


class OCRNetHead(ContextHead):
    """Object-contextual representations.

    Takes stage 3 for the coarse segmentation and stage 4 for the pixels. Preset ``paper`` is the
    printed text (sec. 3.3), ``released`` follows openseg.pytorch (two convolutions in φ and ψ, a
    3x3 convolution before the coarse logits, scaled relations, dropout; its biases before a batch
    normalisation have no effect and are left out; maps are resized as there). Where both stages are
    one map, which has one width, it follows HRNet's code: the convolution before the coarse logits
    is 1x1 then. ``geoseg`` is ``paper`` but for the scale: at 256 ReLU channels unscaled relations
    saturate the softmax.

    The ideal that the paper measures in sec. 3.4, regions and relations from the true labels, is
    not built: a head gets features only.
    """

    name = "ocrnet"
    paper = (
        "Object-Contextual Representations for Semantic Segmentation, ECCV 2020, "
        "https://arxiv.org/abs/1909.11065"
    )
    stages = 2
    radius = 1
    presets: ClassVar = {
        "geoseg": OCRNetOptions(),
        "paper": OCRNetOptions(scale=False),
        "released": OCRNetOptions(relation="two", coarse="conv", dropout=0.05, resizing="openseg"),
    }
    aux_weights: ClassVar = {"coarse": 0.4}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        middle, deep = in_channels
        if preset == "released" and middle == deep:
            options = {"coarse": "pointwise", **options}
        super().__init__(in_channels, classes, preset, **options)
        width, keys = self.options.channels, self.options.key_channels
        dropout = self.options.dropout
        self.coarse = self._coarse(middle, classes)
        if self.options.pixels == "conv":
            self.reduce: nn.Module = conv_bn_relu(deep, width, 3)
        else:
            self.reduce = nn.Sequential(AtrousPyramid(deep, keys), conv_bn_relu(5 * keys, width))
        self.phi = self._relation(width, keys)
        self.psi = self._relation(width, keys)
        self.delta = conv_bn_relu(width, keys)
        self.rho = conv_bn_relu(keys, width)
        self.g = conv_bn_relu(2 * width, width)
        self.classify = Classifier(width, classes, dropout)

    def _coarse(self, channels: int, classes: int) -> nn.Module:
        """What makes coarse logits of a map of so many channels."""
        options = self.options
        if options.coarse == "linear":
            return Classifier(channels, classes)
        pointwise = options.coarse == "pointwise"
        width = options.coarse_channels or (channels if pointwise else options.channels)
        return nn.Sequential(
            conv_bn_relu(channels, width, 1 if pointwise else 3),
            Classifier(width, classes, 0.0 if pointwise else options.dropout),
        )

    def _relation(self, width: int, keys: int) -> nn.Sequential:
        first = conv_bn_relu(width, keys)
        if self.options.relation == "one":
            return first
        return nn.Sequential(first, conv_bn_relu(keys, keys))

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``coarse`` logits of the stage 3 map, and ``x`` of the stage 4 map.

        An atrous pyramid looks at the whole image: it is left to `context`, and ``x`` is the map.
        """
        middle, deep = features
        is_local = self.options.pixels == "conv"
        return {"coarse": self.coarse(middle), "x": self.reduce(deep) if is_local else deep}

    def context(self, maps: Maps) -> Outputs:
        """Logits and ``coarse`` logits ``(N, classes, h, w)``."""
        coarse, x = maps["coarse"], maps["x"]
        if self.options.pixels == "aspp":
            x = self.reduce(x)
        f = object_regions(x, coarse).to(x.dtype)  # (N, C, K, 1)
        y = self.rho(self._contexts(self.phi(x), self.psi(f), self.delta(f)))  # (3)
        z = self.g(torch.cat([x, y], 1))  # (6)
        return Outputs(self.classify(z), {"coarse": coarse})

    def _contexts(self, phi: Tensor, psi: Tensor, delta: Tensor) -> Tensor:
        """``(N, d, h, w)`` sums over k of w_ik δ(f_k).

        Args:
            phi: φ(x) ``(N, d, h, w)``.
            psi: ψ(f) ``(N, d, K, 1)``.
            delta: δ(f) ``(N, d, K, 1)``.
        """
        with torch.autocast(phi.device.type, enabled=False):
            keys = at_least_float32(psi).flatten(2)  # (N, d, K)
            relation = tokens(at_least_float32(phi)) @ keys  # (N, h·w, K)
            if self.options.scale:
                relation = relation * phi.shape[1] ** -0.5
            weights = relation.softmax(2).transpose(1, 2)  # w (5)
            context = at_least_float32(delta).flatten(2) @ weights  # (N, d, h·w)
        return context.reshape(phi.shape).to(phi.dtype)


def object_regions(x: Tensor, coarse: Tensor) -> Tensor:
    """The representation of each object region (4).

    Args:
        x: ``(N, C, h, w)`` pixel representations.
        coarse: ``(N, K, h, w)`` logits; their softmax over an image's positions weights the pixels.

    Returns:
        ``(N, C, K, 1)`` in float32 at least: a map of K positions.
    """
    with torch.autocast(x.device.type, enabled=False):
        weights = at_least_float32(coarse).flatten(2).softmax(2)
        return (weights @ tokens(at_least_float32(x))).transpose(1, 2).unsqueeze(3)
