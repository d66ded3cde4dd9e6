"""Context of pixels through the representatives of their regions: RANet's eqs. (6) to (8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from geoseg.models.context.ranet.region_layout import RegionLayout, lay_out

Weights = Literal["mean", "literal", "others", "all"]

CHUNK = 2**20
"""Weights between representatives held at once: 4 MiB of float32."""
FEATURES = 2**22
"""Numbers of the representatives of blocks held at once: 16 MiB of float32."""


@dataclass(frozen=True)
class Manner:
    """How representatives and pixels give to one another."""

    representatives: int
    """K, representatives a region; regions of fewer pixels have as many as pixels."""
    weights: Weights
    """Over which representatives (7) takes the softmax, see `exchange`."""
    members: bool
    """Whether (6) and (8) stay in the region, as printed; else (6) is over all pixels, (8) over all representatives."""
    scored: bool
    """Whether J is with all that is given and kept, as printed; else only with what products are formed with."""
    scale: float
    """What products are multiplied by before each softmax."""


Refine = Callable[[Tensor, Tensor], Tensor]
"""Something done to the representatives' contexts ``(R, M)``, given the pixels ``(R,)`` that they are."""


def interact(
    asking: Tensor,
    given: Tensor,
    j: Tensor,
    labels: Tensor,
    manner: Manner,
    refine: tuple[Refine, Refine],
) -> Tensor:
    """O ``(N, M)``: representatives collect from their regions, exchange among regions, and distribute.

    Args:
        asking: ``(N, M)`` features of one image's pixels that ask in (8) and are kept there; A, as printed.
        given: ``(N, M)`` features that are collected and kept in (6); A, as printed.
        j: ``(N,)`` J, their representative scores.
        labels: ``(N,)`` int64 regions, 0..Q-1, none empty.
        manner: the readings.
        refine: what is done to A^l of (6) and to A^g of (7); nothing, as printed.
    """
    layout, scale = lay_out(labels, j, manner.representatives), manner.scale
    chosen = layout.representatives[layout.valid]  # (R,)
    j, score = j.unsqueeze(1), j[chosen].unsqueeze(1)  # score: J(p)
    after_collection, after_exchange = refine

    def scored(x: Tensor, score: Tensor) -> Tensor:
        return score * x if manner.scored else x

    keys = j * given
    values = keys if manner.scored else given
    if manner.members:
        found = collect(given, keys, values, layout, scale)
    else:
        found = _attend(given[chosen], keys, values, scale)
    local = after_collection(scored(given[chosen], score) + found, chosen)  # (6)
    keys = score * local
    values = keys if manner.scored else local
    found = exchange(local, keys, values, layout, manner.weights, scale)
    whole = after_exchange(values + found, chosen)  # (7)
    keys = score * whole
    values = keys if manner.scored else whole
    found = (
        distribute(asking, keys, values, layout, scale)
        if manner.members
        else _attend(asking, keys, values, scale)
    )
    return scored(asking, j) + found  # (8)


def _attend(asking: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """``(n, M)`` softmax-weighted sums of all `values`, without the matrix of pairs."""
    q, k, v = (x.contiguous()[None, None] for x in (asking, keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=scale)[0, 0]


def collect(
    asking: Tensor, keys: Tensor, values: Tensor, layout: RegionLayout, scale: float
) -> Tensor:
    """The sum of (6), ``(R, M)``: softmax-weighted values of the region's other pixels; 0 where there are none.

    Args:
        asking: ``(N, M)`` A.
        keys: ``(N, M)`` J_i A_i.
        values: ``(N, M)`` what is summed.
        layout: where pixels and representatives stand.
        scale: what products are multiplied by.
    """

    def some(part: RegionLayout, keys: Tensor, values: Tensor) -> Tensor:
        offered = keys[part.element]  # (B, S, M)
        products = (
            asking[part.representatives[part.region]] @ offered.transpose(1, 2) * scale
        )  # (B, K, S)
        products = products.masked_fill(~part.others.unsqueeze(1), -torch.inf)
        highest = products.detach().amax(2)  # (B, K)
        place = part.region.unsqueeze(1).expand_as(highest)
        highest = torch.full_like(highest[: len(part.blocks)], -torch.inf).scatter_reduce(
            0, place, highest, "amax"
        )
        highest = highest.masked_fill(highest == -torch.inf, 0)  # (Q, K)
        shares = (products - highest[part.region].unsqueeze(2)).exp()
        total = _sum_blocks(shares.sum(2, keepdim=True), part)
        if values is not keys:
            offered = values[part.element]
        return (_sum_blocks(shares @ offered, part) / torch.where(total > 0, total, 1))[part.valid]

    return torch.cat(_each(some, [(part, keys, values) for part in _parts(layout, asking)]))


def _parts(layout: RegionLayout, x: Tensor) -> list[RegionLayout]:
    """Regions whose blocks have representatives of about `FEATURES` numbers."""
    return layout.parts(max(1, FEATURES // (layout.valid.shape[1] * x.shape[1])))


def _each(some: Callable[..., Tensor], parts: Sequence[tuple[Any, ...]]) -> list[Tensor]:
    """What `some` makes of each part; where there are several, the backward pass too holds one of them at a time."""
    if len(parts) > 1 and torch.is_grad_enabled():
        return [
            checkpoint(some, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
        ]
    return [some(*part) for part in parts]


def _sum_blocks(x: Tensor, layout: RegionLayout) -> Tensor:
    """``(Q, ...)`` sums of ``(B, ...)`` over each region's blocks, in their order.

    That order is kept on a GPU too, where accumulating writes would not keep one.
    """
    sums = torch.segment_reduce(x.flatten(1), "sum", lengths=layout.blocks, axis=0, unsafe=True)
    return sums.reshape(-1, *x.shape[1:])


def exchange(
    asking: Tensor,
    keys: Tensor,
    values: Tensor,
    layout: RegionLayout,
    weights: Weights,
    scale: float,
) -> Tensor:
    """The sum of (7), ``(R, M)``, over the representatives of other regions.

    As printed (``literal``) the softmax runs over the representatives of one region at a time, so the weights add up
    to Q-1; ``mean`` divides them by that. ``others`` takes one softmax over all other regions' representatives,
    ``all`` over all representatives, those of the own region too. With one region the first three are 0.

    Args:
        asking: ``(R, M)`` local context of all representatives, region by region.
        keys: ``(R, M)``, J times that.
        values: ``(R, M)`` what is summed.
        layout: where they stand.
        weights: which softmax.
        scale: what products are multiplied by.
    """
    regions, count = layout.valid.shape
    if weights == "all":
        return _attend(asking, keys, values, scale)
    if regions == 1:
        return torch.zeros_like(asking)
    own = layout.valid.nonzero()[:, 0]  # (R,), the region of each representative
    place, slots = (
        layout.rows.flatten(),
        layout.valid.flatten().nonzero().squeeze(1),
    )  # to (Q·K,) and back

    def some(asking: Tensor, region: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        products = asking @ keys.T * scale  # (r, R)
        foreign = region.unsqueeze(1) != own
        if weights == "others":
            return products.masked_fill(~foreign, -torch.inf).softmax(1) @ values
        products = (
            products[:, place].reshape(-1, regions, count).masked_fill(~layout.valid, -torch.inf)
        )
        one_each = products.softmax(2).flatten(1)[:, slots] * foreign
        return one_each @ values / (regions - 1 if weights == "mean" else 1)

    rows = max(1, CHUNK // (regions * count))
    parts = zip(torch.split(asking, rows), torch.split(own, rows), strict=True)
    return torch.cat(_each(some, [(*part, keys, values) for part in parts]))


def distribute(
    asking: Tensor, keys: Tensor, values: Tensor, layout: RegionLayout, scale: float
) -> Tensor:
    """The sum of (8), ``(N, M)``: softmax-weighted values of the representatives of each pixel's region.

    Args:
        asking: ``(N, M)`` A.
        keys: ``(R, M)`` J A^g of all representatives, region by region.
        values: ``(R, M)`` what is summed.
        layout: where they stand.
        scale: what products are multiplied by.
    """

    def some(part: RegionLayout, keys: Tensor, values: Tensor) -> Tensor:
        rows = part.rows[part.region]  # (B, K)
        offered = keys[rows]  # (B, K, M)
        products = asking[part.element] @ offered.transpose(1, 2) * scale  # (B, S, K)
        products = products.masked_fill(~part.valid[part.region].unsqueeze(1), -torch.inf)
        if values is not keys:
            offered = values[rows]
        return (products.softmax(2) @ offered).flatten(0, 1)

    parts = _parts(layout, asking)
    counts = [int(part.valid.sum()) for part in parts]
    key_parts = torch.split(keys, counts)
    value_parts = key_parts if values is keys else torch.split(values, counts)
    return torch.cat(_each(some, list(zip(parts, key_parts, value_parts, strict=True))))[
        layout.slot
    ]
