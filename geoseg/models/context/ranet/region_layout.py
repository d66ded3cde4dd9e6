"""The pixels of an image region by region, in rows of one length, and the representatives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

MAX_SLOTS = 128
"""Slots of a row at most: long enough for an efficient matrix product."""


@dataclass(frozen=True)
class RegionLayout:
    """Where pixels and representatives are, when each region starts a new row of slots.

    A row is as long as a region has pixels on average, so there are at most twice as many slots as
    pixels and twice as many rows as regions, whatever the partition:

        pixels by region    a a a a a b c c c           (N = 9, Q = 3: rows of 3 slots)
        rows of slots      [a a a][a a .][b . .][c c c]

    Shapes below: L rows of S slots, Q regions, K representatives per region, N pixels.
    """

    pixel: Tensor
    """``(L, S)`` int64, the pixel in each slot; any pixel of the image where it is empty."""
    is_other: Tensor
    """``(L, S)`` bool, the slots that hold a pixel that is not a representative."""
    region: Tensor
    """``(L,)`` int64, the region of each row."""
    rows: Tensor
    """``(Q,)`` int64, rows of each region."""
    slot: Tensor
    """``(N,)`` int64, the slot of each pixel."""
    representatives: Tensor
    """``(Q, K)`` int64, the pixels of highest score of each region, K of the largest at most."""
    is_valid: Tensor
    """``(Q, K)`` bool, false where the region has fewer pixels than K."""

    @property
    def numbers(self) -> Tensor:
        """``(Q, K)`` int64, the number of each representative among the valid ones."""
        numbers = self.is_valid.flatten().cumsum(0) - 1  # any valid number where it is not valid
        return numbers.clamp(min=0).reshape(self.is_valid.shape)

    def split(self, limit: int) -> list[RegionLayout]:
        """The regions in parts of about `limit` rows, each a layout but for `slot`, the whole's."""
        if len(self.region) <= limit:
            return [self]
        part = (self.rows.cumsum(0) - 1) // limit  # of each region, by its last row
        return [self._select(part == number) for number in torch.unique(part)]

    def _select(self, regions: Tensor) -> RegionLayout:
        """The layout of some regions, given by a mask of ``(Q,)``."""
        rows = regions[self.region]
        region = self.region[rows]
        return replace(
            self,
            pixel=self.pixel[rows],
            is_other=self.is_other[rows],
            region=region - region[0],
            rows=self.rows[regions],
            representatives=self.representatives[regions],
            is_valid=self.is_valid[regions],
        )


def lay_out(labels: Tensor, scores: Tensor, count: int) -> RegionLayout:
    """The layout of an image's pixels, and of each region the `count` pixels of highest score.

    Args:
        labels: ``(N,)`` int64 regions 0..Q-1, none empty.
        scores: ``(N,)``; among equals the earlier pixel goes first.
        count: representatives per region (fewer where it has fewer pixels).
    """
    device, pixels = labels.device, len(labels)
    by_score = scores.detach().argsort(descending=True, stable=True)
    order = by_score[labels[by_score].argsort(stable=True)]  # by region, then by score
    sizes = labels.bincount()
    first = sizes.cumsum(0) - sizes  # of each region in `order`

    k = torch.arange(min(count, int(sizes.max())), device=device)
    representatives = order[(first.unsqueeze(1) + k).clamp(max=pixels - 1)]

    slots = min(MAX_SLOTS, -(-pixels // len(sizes)))
    rows = (sizes + slots - 1) // slots
    first_row = rows.cumsum(0) - rows
    region = torch.arange(len(sizes), device=device).repeat_interleave(rows)
    row_in_region = torch.arange(len(region), device=device) - first_row[region]
    # The rank by score in its region of what each slot holds.
    rank = row_in_region.unsqueeze(1) * slots + torch.arange(slots, device=device)
    pixel = order[(first[region].unsqueeze(1) + rank).clamp(max=pixels - 1)]
    is_other = (rank >= count) & (rank < sizes[region].unsqueeze(1))

    ordered = labels[order]
    place = first_row[ordered] * slots + torch.arange(pixels, device=device) - first[ordered]
    slot = torch.empty_like(place).scatter(0, order, place)
    is_valid = k < sizes.unsqueeze(1)
    return RegionLayout(pixel, is_other, region, rows, slot, representatives, is_valid)
