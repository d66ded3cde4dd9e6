"""RANet: regions from boundary and class scores, and context through their representatives.

RANet: Region Attention Network for Semantic Segmentation, NeurIPS 2020. A reader with the paper
finds eq. (1) in `line_maxima`, (2) in `jensen_shannon`, (3) and (5) in `region_attention`, (4) in
`regions`, (6) to (8) in `region_interaction`. Deviations are options, named here.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.context.base import ContextHead, DropoutShare, HeadOptions, Maps, Outputs, Size
from geoseg.models.context.ranet.jensen_shannon import DivergenceKind
from geoseg.models.context.ranet.region_attention import ScoreMaps, representative_scores
from geoseg.models.context.ranet.region_interaction import (
    AttentionOptions,
    InteractionWeights,
    exchange_context,
)
from geoseg.models.context.ranet.regions import Grouping, construct_regions
from geoseg.models.layers import Classifier, at_least_float32, conv_bn_relu, tokens


@dataclass(frozen=True)
class RANetOptions(HeadOptions):
    """What the paper leaves open, where its code differs, and what its ablations switch off."""

    channels: Size = 512
    """M, the width of A."""
    representatives: Size = 8
    """K, the most representative pixels of a region (sec. 5.2)."""
    boundary: bool = True
    """Whether D, from the boundary score map, is in eq. (3) (table 1); else D = 0."""
    semantic: bool = True
    """Whether E, from the semantic score maps, is in eq. (3) (table 1); else E = 0, and regions
    are formed without regard to classes."""
    scores: Literal["features", "stage3"] = "features"
    """What B and C are computed from: A, or stage 3 through a 3x3 convolution."""
    ends: bool = True
    """Whether the line of eq. (1) has its two end points. Without them neighbours have D = 0."""
    jsd: DivergenceKind = "full2"
    """E of eq. (2), which is not a divergence as printed: over all classes in bits, or of the one
    likeliest class of i against the rest, in nats and not symmetric."""
    grouping: Grouping = "adjacent_cc"
    """What eq. (4) is asked of: neighbours of one likeliest class, or all pairs; and whether pixels
    grouped make connected components, or follow the first pixel they are grouped with."""
    threshold: NonNegativeFloat = 0.8
    """Where eq. (4) cuts. With W^g one number and a bias, as the sizes allow, its sign function is
    F > threshold; the mean of eq. (5) is only in [0, 1], as the paper has it, with F itself for
    F^g. A number and no weight: regions only index, so no gradient could reach it."""
    core: Size = 8
    """Regions of fewer pixels are attached to their most similar neighbours. 1: none."""
    weights: InteractionWeights = "mean"
    """Over what the softmax of eq. (7) runs. Printed (``literal``): over one other region at a
    time, so the sum grows with Q; ``mean`` divides by Q - 1; ``others``: over all other regions at
    once; ``all``: over all."""
    members: bool = True
    """Whether the softmax of eq. (6) is over the region's other pixels and that of eq. (8) over its
    representatives. If not, (6) is over all pixels of the image, (8) over all representatives."""
    intra: bool = True
    """Whether pixels and representatives of a region exchange context, the sums of eqs. (6) and
    (8). Without (sec. 5.1), context reaches the representatives alone."""
    inter: bool = True
    """Whether representatives of different regions exchange context, the sum of eq. (7)
    (sec. 5.1)."""
    scored: bool = True
    """Whether J multiplies all that eqs. (6) to (8) give and keep. If not, only the second factor
    of each product."""
    embed: bool = False
    """Whether 3x3 convolutions make the queries of eq. (8) and what eq. (6) collects of A, and
    follow each of these equations. Representatives pass theirs as a column of pixels, in the order
    of the image."""
    scale: bool = True
    """Whether the products of eqs. (6) to (8) are divided by the square root of M."""
    fusion: Literal["concat", "context"] = "concat"
    """What is classified: a 3x3 convolution of A and O, or O alone."""
    dropout: DropoutShare = 0.0
    """Dropout before the final classifier."""
    boundary_final: bool = True
    """Whether a boundary map of the final features is supervised too (released code)."""
    reach: Size = 48
    """Steps up to which the line maxima of eq. (1) are exact where no gradient is wanted. Longer
    lines, which only large regions have, are continued from there (`LongLineMaxima`): exact ones
    would cost the fifth power of a region's side. In training all are exact."""

    def __post_init__(self) -> None:
        if not (self.boundary or self.semantic):
            raise ModelError(
                "option boundary=False and semantic=False: nothing is left to make regions of; "
                "keep one"
            )
        if not (self.intra or self.inter):
            raise ModelError(
                "option intra=False and inter=False: no context is exchanged; keep one, or take "
                "system fcn"
            )


class RANetHead(ContextHead):
    """Region construction block (RCB) and region interaction block (RIB).

    Regions are constants: the sign function of eq. (4) has no gradient, so B and C learn from their
    own cross-entropy and through J, which scales what pixels offer in eqs. (6) to (8). The
    equations' k x k filter W^g over F is not built; it is taken as one number (see `threshold`).

    ``paper`` prints eq. (7), the unscaled products and O alone, decides eq. (4) for all pairs, and
    supervises what sec. 4 lists: C, B and the result.

    ``released`` follows the published code: pixels follow the first that is like them, and a RIB of
    25.95 M weights does not keep to the regions. (That code also fills regions of fewer than K
    pixels with others', has leaky activations, and drops out in `middle`; this does not.)

    ``geoseg`` departs from the paper where that breaks: decisions on all pairs chain to one region
    through the many paths that a weak boundary leaves, or leave pixels alone. For neighbours the
    line of eq. (1) is its two ends, so line maxima enter J only. Where ends are counted
    J_i <= 1 - B_i: pixels on a boundary offer little, and keep their A by the concatenation.

    Auxiliary outputs are ``semantic`` and ``boundary`` score maps, and ``boundary_final``, a
    boundary map of the final features. The paper gives no weights of their losses; these are the
    released code's. The two boundary maps have 2 channels, the second for boundary.
    """

    name = "ranet"
    paper = (
        "RANet: Region Attention Network for Semantic Segmentation, NeurIPS 2020, "
        "https://github.com/dingguo1996/RANet"
    )
    stages = 2
    radius = 2
    presets: ClassVar = {
        "geoseg": RANetOptions(),
        "paper": RANetOptions(
            grouping="full_cc",
            core=1,
            weights="literal",
            scale=False,
            fusion="context",
            boundary_final=False,
        ),
        "released": RANetOptions(
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
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__(in_channels, classes, preset, **options)
        width = self.options.channels
        self.reduce = conv_bn_relu(in_channels[-1], width, 3)
        self.middle = (
            conv_bn_relu(in_channels[0], width, 3)[:2] if self.options.scores == "stage3" else None
        )
        self.semantic = Classifier(width, classes) if self.options.semantic else None
        self.boundary = Classifier(width, 2) if self.options.boundary else None
        self.query, self.value, self.collected, self.exchanged, self.distributed = (
            conv_bn_relu(width, width, 3) if self.options.embed else None for _ in range(5)
        )
        self.fuse = conv_bn_relu(2 * width, width, 3) if self.options.fusion == "concat" else None
        self.classify = Classifier(width, classes, self.options.dropout)
        self.boundary_final = Classifier(width, 2) if self.options.boundary_final else None

    def local(self, features: Sequence[Tensor]) -> Maps:
        """A, the score maps that regions are made of, and, with ``embed``, queries and values.

        Args:
            features: stage 3 and stage 4; stage 3 is read with ``scores="stage3"`` only.
        """
        a = self.reduce(features[-1])  # A, (N, M, h, w)
        scored = a if self.middle is None else self.middle(features[0])
        parts: dict[str, tuple[nn.Module | None, Tensor]] = {
            "semantic": (self.semantic, scored),
            "boundary": (self.boundary, scored),
            "queries": (self.query, a),
            "values": (self.value, a),
        }
        made = {name: part(x) for name, (part, x) in parts.items() if part is not None}
        return {"a": a, **made}

    def context(self, maps: Maps) -> Outputs:
        """Logits ``(N, classes, h, w)``, and the score maps.

        Raises:
            ModelError: the head is being exported: regions have data-dependent shapes, which ONNX
                cannot hold.
        """
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            raise ModelError(
                "ranet cannot be exported, its regions' shapes depend on the image; "
                "export hcnet or ocrnet"
            )
        aux = {name: x for name, x in maps.items() if name in ("semantic", "boundary")}
        a = maps["a"]
        queries, values = maps.get("queries", a), maps.get("values", a)
        with torch.autocast(a.device.type, enabled=False):
            scores = {name: at_least_float32(logits).softmax(1) for name, logits in aux.items()}
            images = [{name: x[index] for name, x in scores.items()} for index in range(len(a))]
            of_images = zip(
                at_least_float32(queries), at_least_float32(values), images, strict=True
            )
            o = torch.stack([self._context(*image) for image in of_images])  # O, (N, M, h, w)
        if self.distributed is not None:
            o = self.distributed(o)
        if self.fuse is not None:
            o = self.fuse(torch.cat([a.to(o.dtype), o], 1))
        if self.boundary_final is not None and self.training:
            aux["boundary_final"] = self.boundary_final(o)
        return Outputs(self.classify(o), aux)

    def _context(self, queries: Tensor, values: Tensor, scores: dict[str, Tensor]) -> Tensor:
        """O ``(M, h, w)`` of one image.

        Args:
            queries: ``(M, h, w)`` what its pixels ask with.
            values: ``(M, h, w)`` what they give.
            scores: C ``(K, h, w)`` and both boundary probabilities ``(2, h, w)``, where they exist.
        """
        options = self.options
        maps = ScoreMaps(
            boundary=scores["boundary"][1] if "boundary" in scores else None,
            semantic=scores.get("semantic"),
            size=(queries.shape[1], queries.shape[2]),
            divergence=options.jsd,
            include_ends=options.ends,
            exact_reach=options.reach,
        )
        labels = construct_regions(maps, options.grouping, options.threshold, options.core)
        j = representative_scores(maps, labels)
        attention = AttentionOptions(
            representatives=options.representatives,
            weights=options.weights,
            within_regions=options.members,
            intra=options.intra,
            inter=options.inter,
            scored_values=options.scored,
            scale=options.channels**-0.5 if options.scale else 1.0,
        )
        refine = (partial(_in_column, self.collected), partial(_in_column, self.exchanged))
        q, v = (tokens(x.unsqueeze(0))[0] for x in (queries, values))  # (h * w, M)
        o = exchange_context(q, v, j.flatten(), labels.flatten(), attention, refine)
        return o.T.reshape(queries.shape)


def _in_column(conv: nn.Module | None, x: Tensor, pixels: Tensor) -> Tensor:
    """What a convolution makes of vectors ``(R, M)`` of some `pixels`, set one under the other.

    In the order of the image, as the released code has it.
    """
    if conv is None:
        return x
    order = pixels.argsort()
    column = conv(x[order].T[None, :, :, None])[0, :, :, 0].T
    return torch.empty_like(column).index_copy(0, order, column)
