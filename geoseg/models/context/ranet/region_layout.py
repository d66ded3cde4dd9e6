"""The pixels of an image region by region, in blocks of one length."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

LONGEST = 128
"""Slots a block at most: long enough for an efficient matrix product."""


@dataclass(frozen=True)
class RegionLayout:
    """Where pixels and representatives stand, when regions follow one another and each starts a new block.

    A block is as long as a region has pixels on average, so there are at most twice as many slots as pixels and twice
    as many blocks as regions, whatever the partition:

        pixels by region    a a a a a b c c c        (N = 9, Q = 3: blocks of 3 slots)
        slots              [a a a][a a .][b . .][c c c]
    """

    element: Tensor
    """``(B, S)`` int64, the pixel in each slot; any pixel of the image where it is empty."""
    others: Tensor
    """``(B, S)`` bool, the slots that hold a pixel which is no representative."""
    region: Tensor
    """``(B,)`` int64, the region of each block."""
    blocks: Tensor
    """``(Q,)`` int64, blocks of each region."""
    slot: Tensor
    """``(N,)`` int64, the slot of each pixel."""
    representatives: Tensor
    """``(Q, K)`` int64, the pixels of highest score of each region; K is no more than the largest region has."""
    valid: Tensor
    """``(Q, K)`` bool, false where the region has fewer pixels than K."""

    @property
    def rows(self) -> Tensor:
        """``(Q, K)`` int64, how many valid representatives stand before each; for those not valid, any such number."""
        return (self.valid.flatten().cumsum(0) - 1).clamp(min=0).reshape(self.valid.shape)

    def parts(self, blocks: int) -> list[RegionLayout]:
        """The same regions in runs of about `blocks` blocks, each run a layout but for `slot`, which is the whole's."""
        if len(self.region) <= blocks:
            return [self]
        run = (self.blocks.cumsum(0) - 1) // blocks  # of each region, by its last block
        counts = torch.unique_consecutive(run, return_counts=True)[1].tolist()
        lengths = [int(some.sum()) for some in torch.split(self.blocks, counts)]
        first = torch.split(torch.arange(len(self.blocks), device=run.device), counts)
        of_blocks = [torch.split(x, lengths) for x in (self.element, self.others, self.region)]
        of_regions = [
            torch.split(x, counts) for x in (self.blocks, self.representatives, self.valid)
        ]
        return [
            replace(
                self,
                element=element,
                others=others,
                region=region - start[0],
                blocks=each,
                representatives=representatives,
                valid=valid,
            )
            for start, element, others, region, each, representatives, valid in zip(
                first, *of_blocks, *of_regions, strict=True
            )
        ]


def lay_out(labels: Tensor, scores: Tensor, count: int) -> RegionLayout:
    """The layout of an image's pixels, and its representatives: of each region the `count` pixels of highest score.

    Args:
        labels: ``(N,)`` int64 regions 0..Q-1, none empty.
        scores: ``(N,)``; among equals the earlier pixel goes first.
        count: representatives a region (fewer where it has fewer pixels).
    """
    by_score = scores.detach().argsort(descending=True, stable=True)
    order = by_score[labels[by_score].argsort(stable=True)]  # by region, then by score
    sizes = labels.bincount()
    pixels, regions = len(labels), len(sizes)
    start = sizes.cumsum(0) - sizes

    k = torch.arange(min(count, int(sizes.max())), device=labels.device)
    representatives = order[(start.unsqueeze(1) + k).clamp(max=pixels - 1)]

    length = min(LONGEST, -(-pixels // regions))
    blocks = (sizes + length - 1) // length
    first_block = blocks.cumsum(0) - blocks
    region = torch.arange(regions, device=labels.device).repeat_interleave(blocks)
    within = torch.arange(len(region), device=labels.device) - first_block[region]
    rank = within.unsqueeze(1) * length + torch.arange(
        length, device=labels.device
    )  # by score in its region
    element = order[(start[region].unsqueeze(1) + rank).clamp(max=pixels - 1)]
    others = (rank >= count) & (rank < sizes[region].unsqueeze(1))

    ranked = labels[order]
    slots = (
        first_block[ranked] * length + torch.arange(pixels, device=labels.device) - start[ranked]
    )
    slot = torch.empty_like(slots).scatter(0, order, slots)
    return RegionLayout(
        element, others, region, blocks, slot, representatives, k < sizes.unsqueeze(1)
    )
