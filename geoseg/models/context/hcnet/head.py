"""HCNet: context among the pixels of each region first, then among the regions.

HCNet: Hierarchical Context Network for Semantic Segmentation, 2020, equations (1) to (4). What the
paper leaves open, and the deviations, are in `HCNetOptions` and `HCNetHead`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.models.context.base import ContextHead, HeadOptions, Maps, Outputs, Size
from geoseg.models.context.hcnet.segment_attention import segment_sums
from geoseg.models.layers import Classifier, at_least_float32, class_means, conv_bn_relu, tokens

DILATIONS = (1, 3, 5)
"""Of the prior stream's convolutions (fig. 3)."""
EPS = 1e-6
"""Keeps the denominators of eq. (4) off zero."""

Norm = Literal["relu", "softplus", "raw", "softmax"]


@dataclass(frozen=True)
class HCNetOptions(HeadOptions):
    """What the paper leaves open, and the parts that its ablations switch off."""

    channels: Size = 512
    """C, the width of the context stream: of X, eqs. (1) to (4)."""
    prior_channels: Size = 64
    """Width of the pre-segmentation's three branches (sec. 3.2)."""
    norm: Norm = "relu"
    """How eq. (4) becomes a mean. Raw products sum to zero or less in about half of all rows, and
    the paper wants weights that sum to 1: ``relu`` and ``softplus`` make O and P, hence A,
    nonnegative; ``raw`` is the printed form, held off zero; ``softmax`` exponentiates A (quadratic
    in the pixels of a region)."""
    fusion: Literal["concat", "sum", "region"] = "concat"
    """How X' and X'' of eq. (2) are aggregated: concatenated and mixed by a 1x1 convolution, added,
    or X'' alone."""
    shared: bool = True
    """Whether all classes share one PiAM, eqs. (3) and (4), in the pixel context module, or each
    has its own (fig. 4 draws N boxes)."""
    pixel: bool = True
    """Whether there is a pixel context module, eqs. (3) and (4) within regions (else X' = X)."""
    region: bool = True
    """Whether there is a region context module, eqs. (1) and (2) (else X' is classified). Without
    the pixel context module, ``fusion="region"`` is the row of table 1 that lacks "pixel-level
    detailed information"."""


class HCNetHead(ContextHead):
    """Hierarchical context: pre-segmentation, pixel (PCM) and region context module (RCM).

    ``in_channels`` may name more maps than one; the deepest alone is used. Not in the paper, and so
    chosen here: X is a 3x3 convolution of F to `channels` (the paper's memory numbers leave no room
    for C = 2048); the branches of the pre-segmentation are normalised before they are added; the
    loss of the context stream reaches Q through eqs. (1) and (2).

    Preset ``paper`` prints eq. (4) literally (``norm="raw"``) and reads "aggregate" (sec. 3.1) as
    sec. 3.2 uses the word: addition (``fusion="sum"``).
    """

    name = "hcnet"
    paper = (
        "HCNet: Hierarchical Context Network for Semantic Segmentation, 2020, "
        "https://arxiv.org/abs/2010.04962"
    )
    radius = max(DILATIONS)
    presets: ClassVar = {
        "geoseg": HCNetOptions(),
        "paper": HCNetOptions(norm="raw", fusion="sum"),
    }
    aux_weights: ClassVar = {"prior": 0.8}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width, norm = self.options.channels, self.options.norm
        self.classes = classes
        banks = 1 if self.options.shared else classes
        self.prior = PreSegmentation(in_channels[-1], self.options.prior_channels, classes)
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.pixel = (
            PositionIndependentAttention(width, norm, banks) if self.options.pixel else None
        )
        self.region = RegionContext(width, norm) if self.options.region else None
        concat = self.options.region and self.options.fusion == "concat"
        self.fuse = conv_bn_relu(2 * width, width) if concat else None
        self.classify = Classifier(width, classes)

    def local(self, features: Sequence[Tensor]) -> Maps:
        """``prior`` logits, and X, of the deepest map."""
        return {"prior": self.prior(features[-1]), "x": self.reduce(features[-1])}

    def context(self, maps: Maps) -> Outputs:
        """Logits and ``prior`` logits ``(N, classes, h, w)``."""
        prior, x = maps["prior"], maps["x"]
        if self.pixel is not None:
            x = self.pixel(x, prior.argmax(1), self.classes)  # T = argmax Q; X'
        if self.region is not None:
            regions = self.region(x, prior)  # R'
            x = self._aggregate(x, regions, prior.softmax(1))  # Q
        return Outputs(self.classify(x), {"prior": prior})

    def _aggregate(self, x: Tensor, regions: Tensor, q: Tensor) -> Tensor:
        """X' and X'' together ``(N, C, h, w)``.

        Args:
            x: X' ``(N, C, h, w)``.
            regions: R' ``(N, C, K, 1)``.
            q: Q ``(N, K, h, w)``.
        """
        if self.fuse is None:
            context = unpool(regions, q)  # X''
            return context if self.options.fusion == "region" else at_least_float32(x) + context
        conv, norm, _ = self.fuse
        of_pixels, of_regions = torch.split(conv.get_parameter("weight"), x.shape[1], 1)
        mixed = F.conv2d(x, of_pixels)
        # The convolution runs over R' instead of X'', which is exact: W X'' = W (R' Q) = (W R') Q.
        mixed = mixed + unpool(F.conv2d(regions, of_regions), q).to(mixed.dtype)
        return F.relu(norm(mixed), inplace=True)


class PreSegmentation(nn.Module):
    """The prior stream (sec. 3.2, fig. 3): three dilated 3x3 convolutions, added, and a 1x1."""

    def __init__(self, in_channels: int, channels: int, classes: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            conv_bn_relu(in_channels, channels, 3, dilation) for dilation in DILATIONS
        )
        self.classify = Classifier(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of Q, ``(N, classes, h, w)``."""
        one, three, five = (branch(x) for branch in self.branches)
        logits: Tensor = self.classify(one + three + five)
        return logits


class RegionContext(nn.Module):
    """RCM (sec. 3.3.2) up to its way back to the pixels (`unpool`): pooling and attention."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.attention = PositionIndependentAttention(channels, norm)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        """R' ``(N, C, K, 1)``, in float32 at least.

        Args:
            x: X' ``(N, C, h, w)``.
            prior: ``(N, K, h, w)`` logits of Q, the affiliation probabilities.
        """
        pooled = class_means(prior, x)  # R (1), (N, K, C)
        regions = pooled.transpose(1, 2).unsqueeze(3)  # a map of K positions, (N, C, K, 1)
        one_set = torch.zeros_like(regions[:, 0], dtype=torch.int64)
        enhanced: Tensor = self.attention(regions, one_set, 1)
        return enhanced


def unpool(regions: Tensor, q: Tensor) -> Tensor:
    """X'' = R' Q (2): each pixel's share of every region, ``(N, C, h, w)`` in float32 at least.

    Args:
        regions: ``(N, C, K, 1)``.
        q: ``(N, K, h, w)``.
    """
    with torch.autocast(q.device.type, enabled=False):
        # As (N, h·w, C), which lies in memory like the map of channels_last that it is added to.
        context = tokens(at_least_float32(q)) @ tokens(at_least_float32(regions))
    return context.transpose(1, 2).reshape(q.shape[0], -1, *q.shape[2:])


class PositionIndependentAttention(nn.Module):
    """PiAM (sec. 3.3.3): each element of a set gains the set's mean, weighted by similarity.

    Many sets are served at once: the elements of a map are divided by `labels`. For a set B in
    C x K_i, with O, P in C/4 x K_i from two 1x1 convolutions,

        A = Oᵀ P (3),  A_ij /= sum_j A_ij (4),  B' = α B Aᵀ + B,  α = 0 at the start

    The printed product "B and A" would weight by columns, which do not sum to 1; Aᵀ makes the
    weights those of the rows. A is never formed (`segment_sums`), except for softmax.
    """

    def __init__(self, channels: int, norm: Norm, banks: int = 1) -> None:
        super().__init__()
        self.norm = norm
        self.banks = banks
        self.query = nn.Conv2d(channels, banks * max(1, channels // 4), 1)
        self.key = nn.Conv2d(channels, banks * max(1, channels // 4), 1)
        self.alpha = nn.Parameter(torch.zeros(banks))

    def forward(self, x: Tensor, labels: Tensor, sets: int) -> Tensor:
        """B' ``(N, C, h, w)`` of B ``(N, C, h, w)``, in float32 at least.

        Args:
            x: the elements of all sets.
            labels: ``(N, h, w)`` int64, the set of each element, in 0..sets-1.
            sets: how many there are; some may be empty. With several banks of weights, each set has
                its own.
        """
        o, p = (self._activate(self._own(conv(x), labels)) for conv in (self.query, self.key))
        alphas = self.alpha.reshape(1, -1, 1, 1).expand(x.shape[0], -1, *x.shape[2:])
        alpha = self._own(alphas, labels)
        with torch.autocast(x.device.type, enabled=False):  # sums over thousands of elements
            x = at_least_float32(x)
            o, p, b = (tokens(at_least_float32(y)) for y in (o, p, x))
            context = self._means(o, p, b, labels.flatten(1), sets)  # (N, h·w, C)
            return x + alpha * context.transpose(1, 2).reshape(x.shape)

    def _own(self, x: Tensor, labels: Tensor) -> Tensor:
        """``(N, d, h, w)`` of each element's own bank, from all banks' ``(N, banks·d, h, w)``."""
        if self.banks == 1:
            return x
        x = x.reshape(x.shape[0], self.banks, -1, *x.shape[2:])  # (N, banks, d, h, w)
        index = labels[:, None, None].expand(-1, 1, x.shape[2], -1, -1)
        return x.gather(1, index).squeeze(1)

    def _activate(self, x: Tensor) -> Tensor:
        """O or P, nonnegative where the norm asks for it."""
        if self.norm == "relu":
            return F.relu(x)
        return F.softplus(x) if self.norm == "softplus" else x

    def _means(self, o: Tensor, p: Tensor, b: Tensor, labels: Tensor, sets: int) -> Tensor:
        """B Aᵀ as ``(N, T, C)``, of O and P ``(N, T, d)`` and B ``(N, T, C)``."""
        if self.norm == "softmax":
            same = labels.unsqueeze(2) == labels.unsqueeze(1)  # (N, T, T)
            o, p, b, mask = (x.unsqueeze(1) for x in (o, p, b, same))  # 1 is the axis of heads
            return F.scaled_dot_product_attention(o, p, b, attn_mask=mask, scale=1.0).squeeze(1)
        sums, weights = segment_sums(o, p, b, labels, sets)
        if self.norm == "raw":
            return sums / torch.where(weights < 0, weights.clamp(max=-EPS), weights.clamp(min=EPS))
        return sums / (weights + EPS)  # a row of zeros (dead ReLUs) gets no context and keeps B
