"""Context of pixels through the representatives of their regions: RANet's eqs. (6) to (8)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from geoseg.models.layout import RegionLayout, lay_out

Weights = Literal["mean", "literal", "others", "all"]

CHUNK = 2**20
"""Weights between representatives held at once: 4 MiB of float32."""


def interact(x: Tensor, j: Tensor, labels: Tensor, representatives: int, weights: Weights, scale: float) -> Tensor:
    """O ``(N, M)``: representatives collect from their regions, exchange among regions, and distribute.

    Args:
        x: ``(N, M)`` A, the features of one image's pixels.
        j: ``(N,)`` J, their representative scores.
        labels: ``(N,)`` int64 regions, 0..Q-1, none empty.
        representatives: K, representatives a region; regions of fewer pixels have as many as pixels.
        weights: over which representatives eq. (7) takes the softmax, see `exchange`.
        scale: what products are multiplied by before each softmax.
    """
    layout = lay_out(labels, j, representatives)
    chosen = layout.representatives[layout.valid]  # (R,)
    score = j[chosen].unsqueeze(1)  # J(p)
    local = score * x[chosen] + collect(x, j, layout, scale)[layout.valid]  # (6)
    whole = score * local + exchange(local, score * local, layout, weights, scale)  # (7)
    return j.unsqueeze(1) * x + distribute(x, score * whole, layout, scale)  # (8)


def collect(x: Tensor, j: Tensor, layout: RegionLayout, scale: float) -> Tensor:
    """The sum of (6), ``(Q, K, M)``: softmax-weighted J_i A_i of the region's other pixels; 0 where there are none.

    Args:
        x: ``(N, M)`` A.
        j: ``(N,)`` J.
        layout: where pixels and representatives stand.
        scale: what products are multiplied by.
    """
    valued = (j.unsqueeze(1) * x)[layout.element]  # (B, S, M)
    products = x[layout.representatives[layout.region]] @ valued.transpose(1, 2) * scale  # (B, K, S)
    products = products.masked_fill(~layout.others.unsqueeze(1), -torch.inf)
    highest = products.detach().amax(2)  # (B, K)
    place = layout.region.unsqueeze(1).expand_as(highest)
    highest = torch.full_like(highest[: len(layout.blocks)], -torch.inf).scatter_reduce(0, place, highest, "amax")
    highest = highest.masked_fill(highest == -torch.inf, 0)  # (Q, K)
    shares = (products - highest[layout.region].unsqueeze(2)).exp()
    total = _sum_blocks(shares.sum(2, keepdim=True), layout)
    return _sum_blocks(shares @ valued, layout) / torch.where(total > 0, total, 1)


def _sum_blocks(x: Tensor, layout: RegionLayout) -> Tensor:
    """``(Q, ...)`` sums of ``(B, ...)`` over each region's blocks, in their order.

    That order is kept on a GPU too, where accumulating writes would not keep one.
    """
    sums = torch.segment_reduce(x.flatten(1), "sum", lengths=layout.blocks, axis=0, unsafe=True)
    return sums.reshape(-1, *x.shape[1:])


def exchange(asking: Tensor, valued: Tensor, layout: RegionLayout, weights: Weights, scale: float) -> Tensor:
    """The sum of (7), ``(R, M)``, over the representatives of other regions.

    As printed (``literal``) the softmax runs over the representatives of one region at a time, so the weights add up
    to Q-1; ``mean`` divides them by that. ``others`` takes one softmax over all other regions' representatives,
    ``all`` over all representatives, those of the own region too. With one region the first three are 0.

    Args:
        asking: ``(R, M)`` local context of all representatives, region by region.
        valued: ``(R, M)``, J times that.
        layout: where they stand.
        weights: which softmax.
        scale: what products are multiplied by.
    """
    regions, count = layout.valid.shape
    if regions == 1 and weights != "all":
        return torch.zeros_like(asking)
    own = layout.valid.nonzero()[:, 0]  # (R,), the region of each representative
    place, slots = layout.rows.flatten(), layout.valid.flatten().nonzero().squeeze(1)  # to (Q·K,) and back

    def some(asking: Tensor, region: Tensor, valued: Tensor) -> Tensor:
        products = asking @ valued.T * scale  # (r, R)
        foreign = region.unsqueeze(1) != own
        if weights == "all":
            return products.softmax(1) @ valued
        if weights == "others":
            return products.masked_fill(~foreign, -torch.inf).softmax(1) @ valued
        products = products[:, place].reshape(-1, regions, count).masked_fill(~layout.valid, -torch.inf)
        one_each = products.softmax(2).flatten(1)[:, slots] * foreign
        return one_each @ valued / (regions - 1 if weights == "mean" else 1)

    rows = max(1, CHUNK // (regions * count))
    parts = list(zip(torch.split(asking, rows), torch.split(own, rows), strict=True))
    if len(parts) > 1 and torch.is_grad_enabled():  # keep one part's weights at a time for the backward pass
        found = [checkpoint(some, *part, valued, use_reentrant=False, preserve_rng_state=False) for part in parts]
    else:
        found = [some(*part, valued) for part in parts]
    return torch.cat(found)


def distribute(x: Tensor, valued: Tensor, layout: RegionLayout, scale: float) -> Tensor:
    """The sum of (8), ``(N, M)``: softmax-weighted J(p) A^g of the representatives of each pixel's region.

    Args:
        x: ``(N, M)`` A.
        valued: ``(R, M)`` J A^g of all representatives, region by region.
        layout: where they stand.
        scale: what products are multiplied by.
    """
    offered = valued[layout.rows[layout.region]]  # (B, K, M)
    products = x[layout.element] @ offered.transpose(1, 2) * scale  # (B, S, K)
    products = products.masked_fill(~layout.valid[layout.region].unsqueeze(1), -torch.inf)
    return (products.softmax(2) @ offered).flatten(0, 1)[layout.slot]
