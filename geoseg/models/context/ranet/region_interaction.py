"""The region interaction block: context through representatives, RANet's eqs. (6) to (8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from geoseg.models.context.ranet.region_layout import RegionLayout, lay_out

InteractionWeights = Literal["mean", "literal", "others", "all"]

MAX_PRODUCTS = 2**20
"""Products between representatives held at once: 4 MiB of float32."""
MAX_FEATURES = 2**22
"""Numbers of the representatives of rows held at once: 16 MiB of float32."""


@dataclass(frozen=True)
class AttentionOptions:
    """How representatives and pixels attend to one another."""

    representatives: int
    """K, representatives per region; regions of fewer pixels have as many as pixels."""
    weights: InteractionWeights
    """Over which representatives (7) takes the softmax, see `interact`."""
    within_regions: bool
    """Whether (6) and (8) stay in the region, as printed; else they take all pixels, and all
    representatives."""
    scored_values: bool
    """Whether J multiplies values too, as printed; else only the keys."""
    scale: float
    """What products are multiplied by before each softmax."""
    intra: bool = True
    """Whether the sums of (6) and (8) are added; if not, only representatives change in (8)."""
    inter: bool = True
    """Whether the sum of (7) is added."""


Refine = Callable[[Tensor, Tensor], Tensor]
"""A change of the representatives' contexts ``(R, M)``, given the pixels ``(R,)`` that they are."""


def exchange_context(
    queries: Tensor,
    features: Tensor,
    scores: Tensor,
    labels: Tensor,
    options: AttentionOptions,
    refine: tuple[Refine, Refine],
) -> Tensor:
    """O ``(N, M)``: representatives collect from their regions, interact, and distribute.

    Args:
        queries: ``(N, M)`` features of one image's pixels, as they ask in (8) and are kept there;
            A, as printed.
        features: ``(N, M)`` the same as they are collected and kept in (6); A, as printed.
        scores: ``(N,)`` J, the representative scores.
        labels: ``(N,)`` int64 regions, 0..Q-1, none empty.
        options: the readings.
        refine: what is done to A^l of (6) and to A^g of (7); nothing, as printed.
    """
    layout, scale = lay_out(labels, scores, options.representatives), options.scale
    chosen = layout.representatives[layout.is_valid]  # (R,)
    j = scores.unsqueeze(1)
    j_chosen = j[chosen]  # J(p)
    after_collection, after_interaction = refine

    def scored(x: Tensor, score: Tensor) -> Tensor:
        return score * x if options.scored_values else x

    # Equation (6), the local context of the representatives.
    local = scored(features[chosen], j_chosen)
    if options.intra:
        keys = j * features
        values = keys if options.scored_values else features
        if options.within_regions:
            local = local + collect(features, keys, values, layout, scale)
        else:
            local = local + _attend(features[chosen], keys, values, scale)
    local = after_collection(local, chosen)

    # Equation (7), their global context.
    keys = j_chosen * local
    values = keys if options.scored_values else local
    whole = values
    if options.inter:
        whole = whole + interact(local, keys, values, layout, options.weights, scale)
    whole = after_interaction(whole, chosen)

    # Equation (8), the context of all pixels.
    kept = scored(queries, j)
    if not options.intra:
        return kept.index_copy(0, chosen, whole)
    keys = j_chosen * whole
    values = keys if options.scored_values else whole
    if options.within_regions:
        return kept + distribute(queries, keys, values, layout, scale)
    return kept + _attend(queries, keys, values, scale)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """``(n, M)`` softmax-weighted sums of all `values`, without the matrix of pairs."""
    q, k, v = (x.contiguous()[None, None] for x in (queries, keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=scale)[0, 0]


def collect(
    queries: Tensor, keys: Tensor, values: Tensor, layout: RegionLayout, scale: float
) -> Tensor:
    """The sum of (6), ``(R, M)``: weighted values of the region's other pixels; 0 without any.

    Args:
        queries: ``(N, M)`` A.
        keys: ``(N, M)`` J_i A_i.
        values: ``(N, M)`` what is summed.
        layout: where pixels and representatives are.
        scale: what products are multiplied by.
    """

    def collect_part(part: RegionLayout, keys: Tensor, values: Tensor) -> Tensor:
        of_rows = keys[part.pixel]  # (L, S, M)
        asking = queries[part.representatives[part.region]]  # (L, K, M)
        products = asking @ of_rows.transpose(1, 2) * scale  # (L, K, S)
        products = products.masked_fill(~part.is_other.unsqueeze(1), -torch.inf)
        # The softmax runs over all rows of a region, so its highest product is subtracted here.
        of_row = products.detach().amax(2)  # (L, K)
        region = part.region.unsqueeze(1).expand_as(of_row)
        highest = torch.full_like(of_row[: len(part.rows)], -torch.inf)  # (Q, K)
        highest = highest.scatter_reduce(0, region, of_row, "amax")
        highest = highest.masked_fill(highest == -torch.inf, 0)  # regions without other pixels
        weights = (products - highest[part.region].unsqueeze(2)).exp()
        total = _sum_rows(weights.sum(2, keepdim=True), part)  # (Q, K, 1)
        if values is not keys:
            of_rows = values[part.pixel]
        sums = _sum_rows(weights @ of_rows, part) / torch.where(total > 0, total, 1)  # (Q, K, M)
        return sums[part.is_valid]

    parts = [(part, keys, values) for part in _split(layout, queries)]
    return torch.cat(_each(collect_part, parts))


def _split(layout: RegionLayout, x: Tensor) -> list[RegionLayout]:
    """Parts whose rows have representatives of about `MAX_FEATURES` numbers."""
    of_row = layout.is_valid.shape[1] * x.shape[1]
    return layout.split(max(1, MAX_FEATURES // of_row))


def _each(function: Callable[..., Tensor], parts: Sequence[tuple[Any, ...]]) -> list[Tensor]:
    """The results for each part. Of several, the backward pass too holds one at a time."""
    if len(parts) == 1 or not torch.is_grad_enabled():
        return [function(*part) for part in parts]
    return [
        checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]


def _sum_rows(x: Tensor, layout: RegionLayout) -> Tensor:
    """``(Q, ...)`` sums of ``(L, ...)`` over each region's rows, in their order.

    That order is kept on a GPU too, where accumulating writes would not keep one.
    """
    sums = torch.segment_reduce(x.flatten(1), "sum", lengths=layout.rows, axis=0, unsafe=True)
    return sums.reshape(-1, *x.shape[1:])


def interact(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    layout: RegionLayout,
    weights: InteractionWeights,
    scale: float,
) -> Tensor:
    """The sum of (7), ``(R, M)``, over the representatives of other regions.

    As printed (``literal``) the softmax runs over the representatives of one region at a time, so
    the weights add up to Q-1; ``mean`` divides them by that. ``others`` takes one softmax over all
    other regions' representatives, ``all`` over all representatives, those of the own region too.
    With one region the first three are 0.

    Args:
        queries: ``(R, M)`` local context of all representatives, region by region.
        keys: ``(R, M)``, J times that.
        values: ``(R, M)`` what is summed.
        layout: where they are.
        weights: which softmax.
        scale: what products are multiplied by.
    """
    regions, count = layout.is_valid.shape
    if weights == "all":
        return _attend(queries, keys, values, scale)
    if regions == 1:
        return torch.zeros_like(queries)
    own = layout.is_valid.nonzero()[:, 0]  # (R,), the region of each representative
    # From R representatives to the table of Q x K, and back.
    to_table = layout.numbers.flatten()
    from_table = layout.is_valid.flatten().nonzero().squeeze(1)

    def interact_part(asking: Tensor, region: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        products = asking @ keys.T * scale  # (r, R)
        is_foreign = region.unsqueeze(1) != own
        if weights == "others":
            return products.masked_fill(~is_foreign, -torch.inf).softmax(1) @ values
        table = products[:, to_table].reshape(-1, regions, count)  # (r, Q, K)
        shares = table.masked_fill(~layout.is_valid, -torch.inf).softmax(2)  # of each region
        shares = shares.flatten(1)[:, from_table] * is_foreign  # (r, R)
        return shares @ values / (regions - 1 if weights == "mean" else 1)

    size = max(1, MAX_PRODUCTS // (regions * count))
    parts = zip(torch.split(queries, size), torch.split(own, size), strict=True)
    return torch.cat(_each(interact_part, [(*part, keys, values) for part in parts]))


def distribute(
    queries: Tensor, keys: Tensor, values: Tensor, layout: RegionLayout, scale: float
) -> Tensor:
    """The sum of (8), ``(N, M)``: weighted values of the representatives of each pixel's region.

    Args:
        queries: ``(N, M)`` A.
        keys: ``(R, M)`` J A^g of all representatives, region by region.
        values: ``(R, M)`` what is summed.
        layout: where they are.
        scale: what products are multiplied by.
    """

    def distribute_part(part: RegionLayout, keys: Tensor, values: Tensor) -> Tensor:
        numbers = part.numbers[part.region]  # (L, K)
        of_rows = keys[numbers]  # (L, K, M)
        products = queries[part.pixel] @ of_rows.transpose(1, 2) * scale  # (L, S, K)
        products = products.masked_fill(~part.is_valid[part.region].unsqueeze(1), -torch.inf)
        if values is not keys:
            of_rows = values[numbers]
        return (products.softmax(2) @ of_rows).flatten(0, 1)  # (L * S, M)

    parts = _split(layout, queries)
    counts = [int(part.is_valid.sum()) for part in parts]
    key_parts = torch.split(keys, counts)
    value_parts = key_parts if values is keys else torch.split(values, counts)
    by_slot = _each(distribute_part, list(zip(parts, key_parts, value_parts, strict=True)))
    return torch.cat(by_slot)[layout.slot]
