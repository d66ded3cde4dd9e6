"""ISNet: every pixel attends to a context of the whole image and to one of the pixels' classes.

ISNet: Integrate Image-Level and Semantic-Level Context for Semantic Segmentation, ICCV 2021,
equations (4) to (16). Its deviations are in `ISNetOptions` and `ISNetHead`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.aspp import AtrousPyramid
from geoseg.models.context.base import ContextHead, DropoutShare, HeadOptions, Maps, Outputs, Size
from geoseg.models.context.isnet.class_attention import (
    attend_weighted_by_counts,
    norm_weighted_by_counts,
)
from geoseg.models.context.ppm import SIZES, PyramidPooling
from geoseg.models.layers import (
    Classifier,
    apply_concatenated,
    at_least_float32,
    attend,
    conv_bn_relu,
    tokens,
)

Image = Literal["ilcm", "aspp", "ppm", "none"]


@dataclass(frozen=True)
class ISNetOptions(HeadOptions):
    """Where the paper and the released code differ, and the parts that the ablations switch off."""

    channels: Size = 512
    """C, the width of R."""
    key_channels: Size = 256
    """Width of the projected queries, keys and values of eqs. (4), (5), (7) and (8)."""
    image: Image = "ilcm"
    """What makes R_il: eqs. (10) and (11), or ASPP or a pyramid of pools in their place (sec. 3.2),
    or nothing."""
    semantic: bool = True
    """Whether there is a semantic-level context module, eqs. (12) to (16)."""
    attention: Literal["projected", "plain"] = "projected"
    """Eqs. (4), (5), (7) and (8) on 1x1 convolutions of R and of the contexts (released code), or
    as printed."""
    fuse: Literal["3x3", "1x1", "sum"] = "3x3"
    """How R is augmented: by a 3x3 convolution with one context after the other (released code), by
    one 1x1 convolution of all, eq. (6), or by addition (what is left where table 2 counts no
    fusion)."""
    deep: bool = True
    """Whether stage 3 is supervised too (released code)."""
    dropout: DropoutShare = 0.1
    """Dropout before each of the classifiers (released code)."""


class ISNetHead(ContextHead):
    """Image-level (ILCM) and semantic-level context module (SLCM).

    Takes stage 4, and stage 3 for the auxiliary logits ``deep`` of the training. Preset
    ``released`` is the authors' code, which ``geoseg`` follows: only its projected attention has
    the parameters of the paper's table 2. ``paper`` is the printed text, its R being a 3x3
    convolution of stage 4 as in the code. With ASPP or pooling in ILCM's place, R_il is that
    module's map, and eqs. (4) and (7) stay.

    Three exact rearrangements: SLCM attends to classes instead of pixels, so that R_sl (16) is
    never made (`class_attention`); ILCM's first convolutions of [G; R] are W_G G + W_R R; and
    fusions add the products of their parts. A class that no pixel has takes no part anywhere.
    """

    name = "isnet"
    paper = (
        "ISNet: Integrate Image-Level and Semantic-Level Context for Semantic Segmentation, "
        "ICCV 2021, https://arxiv.org/abs/2108.12382"
    )
    stages = 2
    radius = 1
    presets: ClassVar = {
        "geoseg": ISNetOptions(),
        "paper": ISNetOptions(attention="plain", fuse="1x1", deep=False, dropout=0.0),
        "released": ISNetOptions(),
    }
    aux_weights: ClassVar = {"semantic": 0.4, "deep": 0.4}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        middle, deepest = in_channels
        width, dropout = self.options.channels, self.options.dropout
        self.reduce = conv_bn_relu(deepest, width, 3)
        self.image = ImageContext(self.options) if self.options.image != "none" else None
        self.semantic = SemanticContext(self.options, classes) if self.options.semantic else None
        self.fuse = _fusions(
            self.options, contexts=(self.image is not None) + (self.semantic is not None)
        )
        self.classify = Classifier(width, classes, dropout)
        self.deep = (
            nn.Sequential(conv_bn_relu(middle, width, 3), Classifier(width, classes, dropout))
            if self.options.deep
            else None
        )

    def local(self, features: Sequence[Tensor]) -> Maps:
        """R, the stage 4 map reduced, its D, and in training the stage 3 map itself."""
        middle, deepest = features
        maps = {"x": self.reduce(deepest)}
        if self.semantic is not None:
            maps["semantic"] = self.semantic.classify(maps["x"])  # D (12)
        if self.deep is not None and self.training:
            maps["middle"] = middle
        return maps

    def context(self, maps: Maps) -> Outputs:
        """Logits, ``semantic`` and in training ``deep`` logits, ``(N, classes, h, w)``."""
        x = maps["x"]
        contexts, aux = [], {}
        if self.image is not None:
            contexts.append(self.image(x))
        if self.semantic is not None:
            aux["semantic"] = maps["semantic"]
            contexts.append(self.semantic(x, aux["semantic"]))
        if self.deep is not None and "middle" in maps:
            aux["deep"] = self.deep(maps["middle"])
        return Outputs(self.classify(self._augment(x, contexts)), aux)  # (9)

    def _augment(self, x: Tensor, contexts: list[Tensor]) -> Tensor:
        """R_aug."""
        if self.options.fuse == "sum":
            return x + sum(contexts)
        if self.options.fuse == "1x1":
            return apply_concatenated(self.fuse[0], [*contexts, x]) if contexts else x  # (6)
        for block, context in zip(self.fuse, contexts, strict=True):
            x = apply_concatenated(block, [x, context])
        return x


def _fusions(options: ISNetOptions, contexts: int) -> nn.ModuleList:
    """The convolutions that augment R with so many contexts."""
    width = options.channels
    if options.fuse == "3x3":
        return nn.ModuleList(conv_bn_relu(2 * width, width, 3) for _ in range(contexts))
    if options.fuse == "1x1" and contexts:
        return nn.ModuleList([conv_bn_relu((contexts + 1) * width, width)])
    return nn.ModuleList()


class Projections(nn.Module):
    """The 1x1 convolutions around an attention: two for queries and keys, one for the others."""

    def __init__(self, options: ISNetOptions, context_channels: int) -> None:
        super().__init__()
        width, keys = options.channels, options.key_channels
        self.query = nn.Sequential(conv_bn_relu(width, keys), conv_bn_relu(keys, keys))
        self.key_in = conv_bn_relu(context_channels, keys)
        self.key = conv_bn_relu(keys, keys)
        self.value = conv_bn_relu(context_channels, keys)
        self.out = conv_bn_relu(keys, width)


class ImageContext(nn.Module):
    """ILCM (sec. 3.2), or what is in its place, and the attention to it."""

    def __init__(self, options: ISNetOptions) -> None:
        super().__init__()
        width, ilcm = options.channels, options.image == "ilcm"
        projected = options.attention == "projected"
        self.pyramid = None if ilcm else _Pyramid(options)
        self.transform = conv_bn_relu(2 * width, width) if ilcm and not projected else None
        self.project = Projections(options, 2 * width if ilcm else width) if projected else None

    def forward(self, x: Tensor) -> Tensor:
        """R'_il ``(N, C, h, w)`` of R ``(N, C, h, w)``."""
        parts = self._parts(x)
        if self.project is None:
            return attend(x, parts[0], parts[0])  # (4), (7)
        key = self.project.key(apply_concatenated(self.project.key_in, parts))
        query = self.project.query(x)
        context: Tensor = self.project.out(
            attend(query, key, apply_concatenated(self.project.value, parts))  # (4), (7)
        )
        return context

    def _parts(self, x: Tensor) -> list[Tensor]:
        """R_il as parts to be concatenated: one map, or [G; R], which the code leaves as it is."""
        if self.pyramid is not None:
            return [self.pyramid(x)]
        g = at_least_float32(x).mean((2, 3), keepdim=True).to(x.dtype)  # (10)
        if self.transform is None:
            return [g, x]
        return [apply_concatenated(self.transform, [g, x])]  # (11)


class _Pyramid(nn.Module):
    """ASPP or pyramid pooling, fused by a 3x3 convolution as in the paper's table 2."""

    def __init__(self, options: ISNetOptions) -> None:
        super().__init__()
        width = options.channels
        level = max(1, width // len(SIZES))
        self.beside = options.image == "ppm"  # the map itself is concatenated
        self.pyramid = (
            PyramidPooling(width, level, corners=options.corners)
            if self.beside
            else AtrousPyramid(width, width)
        )
        channels = width + len(SIZES) * level if self.beside else 5 * width
        self.fuse = conv_bn_relu(channels, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w)`` of ``(N, C, h, w)``."""
        context = self.pyramid(x)
        return apply_concatenated(self.fuse, [x, context] if self.beside else [context])


class SemanticContext(nn.Module):
    """SLCM (sec. 3.3) and the attention to it."""

    def __init__(self, options: ISNetOptions, classes: int) -> None:
        super().__init__()
        width = options.channels
        self.classify = nn.Sequential(
            conv_bn_relu(width, width), Classifier(width, classes, options.dropout)
        )  # H'
        self.project = Projections(options, width) if options.attention == "projected" else None

    def forward(self, x: Tensor, logits: Tensor) -> Tensor:
        """R'_sl ``(N, C, h, w)`` of R ``(N, C, h, w)`` and D ``(N, K, h, w)``."""
        regions, counts = class_regions(x, logits)
        if self.project is None:
            return attend_weighted_by_counts(x, regions, regions, counts)  # (5), (8)
        key = _apply_weighted(self.project.key_in, regions, counts)
        key = _apply_weighted(self.project.key, key, counts)
        value = _apply_weighted(self.project.value, regions, counts)
        query = self.project.query(x)
        context: Tensor = self.project.out(
            attend_weighted_by_counts(query, key, value, counts)  # (5), (8)
        )
        return context


def class_regions(x: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """R'_c, the mean of R over the pixels of class c, weighted by a softmax of logits (13)-(15).

    A pixel's class is that of its largest logit, and the softmax runs over these logits.

    Args:
        x: R, ``(N, C, h, w)``.
        logits: D, ``(N, K, h, w)``. Gradients go through the weights, not through the class.

    Returns:
        ``(N, C, K, 1)`` in float32 at least, 0 for a class without pixels, and ``(N, K)`` counts of
        pixels.
    """
    classes = torch.arange(logits.shape[1], device=logits.device).unsqueeze(1)
    own = logits.argmax(1).flatten(1).unsqueeze(1) == classes  # (N, K, h·w)
    with torch.autocast(x.device.type, enabled=False):
        scores = at_least_float32(logits).flatten(2)
        # The lowest number rather than -inf, whose softmax is NaN where a class has no pixel.
        weights = scores.masked_fill(~own, torch.finfo(scores.dtype).min).softmax(2) * own
        regions = (weights @ tokens(at_least_float32(x))).transpose(1, 2).unsqueeze(3)
    return regions, own.sum(2)


def _apply_weighted(block: Iterable[Any], x: Tensor, counts: Tensor) -> Tensor:
    """What a `conv_bn_relu` gives for vectors ``(N, C, K, 1)``, each at `counts` positions."""
    conv, norm, _ = block
    return F.relu(norm_weighted_by_counts(norm, conv(x), counts), inplace=True)
