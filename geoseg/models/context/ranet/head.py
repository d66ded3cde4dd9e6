"""RANet: regions by boundary and class scores, their context through representatives. Equation numbers: the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.context.base import ContextHead, Outputs, Switches
from geoseg.models.context.ranet.affinity import ScoreMaps, representative_scores
from geoseg.models.context.ranet.attention import Manner, Weights, interact
from geoseg.models.context.ranet.grouping import Grouping, group
from geoseg.models.context.ranet.jensen_shannon import Kind
from geoseg.models.layers import Classifier, conv_bn_relu, tokens, wide


@dataclass(frozen=True)
class RANetSwitches(Switches):
    """What the paper leaves open, where its released code differs, and the parts that its ablations switch off."""

    channels: int = 512
    """M, the width of A."""
    representatives: int = 8
    """K, the most representative pixels of a region (sec. 5.2)."""
    boundary: bool = True
    """Whether D, from the boundary score map, is in eq. (3) (table 1); else D = 0."""
    semantic: bool = True
    """Whether E, from the semantic score maps, is in eq. (3) (table 1); else E = 0, and regions ask for no class."""
    scores: Literal["features", "stage3"] = "features"
    """What B and C are computed from: A, or stage 3 through a 3x3 convolution."""
    ends: bool = True
    """Whether the line of eq. (1) has its two end points. Without them neighbours have D = 0 always."""
    jsd: Kind = "full2"
    """E of eq. (2), which is no divergence as printed: over all classes in bits, or of the one likeliest class of i
    against the rest, in nats and not symmetric."""
    grouping: Grouping = "adjacent_cc"
    """What eq. (4) is asked of: neighbours of one likeliest class, or all pairs; and whether pixels grouped make
    connected components, or follow the first pixel they are grouped with."""
    threshold: float = 0.8
    """Where eq. (4) cuts. With W^g one number and a bias, as the sizes allow, its sign function is F > threshold; the
    mean of eq. (5) is only in [0, 1], as the paper has it, with F itself for F^g. A number and no weight: regions are
    whole numbers that only index, so no gradient could reach it."""
    core: int = 8
    """Regions of fewer pixels are attached to their most similar neighbours. 1: none."""
    weights: Weights = "mean"
    """Over what the softmax of eq. (7) runs. Printed (``literal``): over one other region at a time, so the sum grows
    with Q; ``mean`` divides by Q - 1; ``others``: over all other regions at once; ``all``: over all."""
    members: bool = True
    """Whether the softmax of eq. (6) is over the region's other pixels and that of eq. (8) over its representatives. If
    not, (6) is over all pixels of the image, and (8) over all representatives."""
    scored: bool = True
    """Whether J multiplies all that eqs. (6) to (8) give and keep. If not, only the second factor of each product."""
    embed: bool = False
    """Whether 3x3 convolutions make what asks in eq. (8) and what is collected in eq. (6) of A, and follow each of
    these equations. Representatives pass theirs as a column of pixels, in the order of the image."""
    scale: bool = True
    """Whether the products of eqs. (6) to (8) are divided by the square root of M."""
    fusion: Literal["concat", "context"] = "concat"
    """What is classified: a 3x3 convolution of A and O, or O alone."""
    dropout: float = 0.0
    """Dropout before the final classifier."""
    reach: int = 48
    """Steps up to which the line maxima of eq. (1) are exact where no gradient is wanted. Longer ones, which only large
    regions have, are continued from there (`geoseg.models.context.ranet.line_maxima.RingMaxima`): exact ones would cost the fifth power of
    a region's side. In training all are exact."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.boundary or self.semantic):
            raise ModelError(
                "option boundary=False and semantic=False: nothing is left to make regions of; keep one"
            )


class RANetHead(ContextHead):
    """Region construction block (RCB) and region interaction block (RIB).

    Regions are constants: the sign function of eq. (4) has no gradient, so B and C learn from their own cross-entropy
    and through J, which scales what pixels offer in eqs. (6) to (8). The equations' k x k filter W^g over F is not
    built; it is taken as one number (see `threshold`).

    ``paper`` prints eq. (7), the unscaled products and O alone, and decides eq. (4) for all pairs. ``released`` follows
    the published code: pixels follow the first that is like them, and a RIB of 25.95 M weights does not keep to the
    regions. (That code also fills regions of fewer than K pixels with others', has leaky activations, and drops out in
    `middle`; this does not.) ``geoseg`` departs from the paper where that breaks: decisions on all pairs chain to one
    region through the many paths that a weak boundary leaves, or leave pixels alone. For neighbours the line of eq. (1)
    is its two ends, so line maxima enter J only. Where ends are counted J_i <= 1 - B_i: pixels on a boundary offer
    little, and keep their A by the concatenation.

    Auxiliary outputs and weights are those of the released code: ``semantic`` and ``boundary`` score maps, and
    ``boundary_final``, a boundary map of the final features. The two have 2 channels, the second for boundary.
    """

    name = "ranet"
    paper = "RANet: Region Attention Network for Semantic Segmentation, NeurIPS 2020, https://github.com/dingguo1996/RANet"
    stages = 2
    presets: ClassVar = {
        "geoseg": RANetSwitches(),
        "paper": RANetSwitches(
            grouping="full_cc", core=1, weights="literal", scale=False, fusion="context"
        ),
        "released": RANetSwitches(
            scores="stage3",
            ends=False,
            jsd="binary_argmax",
            grouping="leader",
            core=1,
            weights="all",
            members=False,
            scored=False,
            embed=True,
            scale=False,
            dropout=0.1,
        ),
    }
    aux_weights: ClassVar = {"semantic": 0.4, "boundary": 0.08, "boundary_final": 0.2}

    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **given: Any
    ) -> None:
        super().__init__(in_channels, classes)
        self.switches: RANetSwitches = self.choose(preset, given)
        width = self.switches.channels
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.middle = (
            conv_bn_relu(in_channels[0], width, 3)[:2] if self.switches.scores == "stage3" else None
        )
        self.semantic = Classifier(width, classes) if self.switches.semantic else None
        self.boundary = Classifier(width, 2) if self.switches.boundary else None
        self.query, self.value, self.collected, self.exchanged, self.distributed = (
            conv_bn_relu(width, width, 3) if self.switches.embed else None for _ in range(5)
        )
        self.fuse = conv_bn_relu(2 * width, width, 3) if self.switches.fusion == "concat" else None
        self.classify = Classifier(width, classes, self.switches.dropout)
        self.boundary_final = Classifier(width, 2)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits ``(N, classes, h, w)``, and the score maps that regions are made of.

        Args:
            features: stage 3 and stage 4; stage 3 is read with ``scores="stage3"`` only.

        Raises:
            ModelError: the head is being exported: regions have data-dependent shapes, which ONNX cannot hold.
        """
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            raise ModelError(
                "ranet cannot be exported, its regions' shapes depend on the image; export hcnet or ocrnet"
            )
        a = self.reduce(features[-1])
        scored = a if self.middle is None else self.middle(features[0])
        maps = {"semantic": self.semantic, "boundary": self.boundary}
        aux = {name: classify(scored) for name, classify in maps.items() if classify is not None}
        asking = a if self.query is None else self.query(a)
        given = a if self.value is None else self.value(a)
        with torch.autocast(a.device.type, enabled=False):
            scores = {name: wide(logits).softmax(1) for name, logits in aux.items()}
            images = [
                {name: values[index] for name, values in scores.items()} for index in range(len(a))
            ]
            o = torch.stack(
                [
                    self._context(*image)
                    for image in zip(wide(asking), wide(given), images, strict=True)
                ]
            )
        if self.distributed is not None:
            o = self.distributed(o)
        if self.fuse is not None:
            o = self.fuse(torch.cat([a.to(o.dtype), o], 1))
        if self.training:
            aux["boundary_final"] = self.boundary_final(o)
        return Outputs(self.classify(o), aux)

    def _context(self, asking: Tensor, given: Tensor, scores: dict[str, Tensor]) -> Tensor:
        """O ``(M, h, w)`` of what one image's pixels ask with and give ``(M, h, w)`` and its scores ``(., h, w)``."""
        choice = self.switches
        boundary = scores["boundary"][1] if "boundary" in scores else None
        size = (asking.shape[1], asking.shape[2])
        maps = ScoreMaps(
            boundary, scores.get("semantic"), size, choice.jsd, choice.ends, choice.reach
        )
        labels = group(maps, choice.grouping, choice.threshold, choice.core)
        j = representative_scores(maps, labels)
        scale = choice.channels**-0.5 if choice.scale else 1.0
        manner = Manner(
            choice.representatives, choice.weights, choice.members, choice.scored, scale
        )
        ask, give = (tokens(x.unsqueeze(0))[0] for x in (asking, given))
        refine = (partial(_in_column, self.collected), partial(_in_column, self.exchanged))
        return interact(ask, give, j.flatten(), labels.flatten(), manner, refine).T.reshape(
            asking.shape
        )


def _in_column(conv: nn.Module | None, x: Tensor, pixels: Tensor) -> Tensor:
    """What a convolution makes of vectors ``(R, M)``, one under the other in the order of the `pixels` they are of."""
    if conv is None:
        return x
    order = pixels.argsort()
    column = conv(x[order].T[None, :, :, None])[0, :, :, 0].T
    return torch.empty_like(column).index_copy(0, order, column)
