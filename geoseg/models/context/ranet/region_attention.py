"""Region attention F of pairs of pixels, RANet's eq. (3), and its mean over a region, J of eq. (5).

Neither the N x N table of pairs nor a list of pairs is made: offsets are visited one after the
other, some at a time, and only those that occur within regions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from geoseg.models.context.ranet.jensen_shannon import (
    BinaryDivergence,
    DivergenceKind,
    FullDivergence,
)
from geoseg.models.context.ranet.line_maxima import LongLineMaxima, line_maxima
from geoseg.models.context.ranet.pixel_pairs import (
    PixelPairs,
    flatten_map,
    pairs_up_to,
    unflatten_map,
)

MAX_PAIRS = {"cpu": 2**18, "cuda": 2**22}
"""Pairs held at once: what stays in a core's cache; what keeps a GPU busy."""
MAX_PROBABILITIES = {"cpu": 2**22, "cuda": 2**25}
"""Class probabilities of pairs held at once."""
MAX_PAIRS_TOGETHER = 2**16
"""Pairs up to which several major offsets are taken at once: a call takes longer than few pairs."""


@dataclass(frozen=True)
class ScoreMaps:
    """The two score maps of one image, and how pairs of pixels are compared by them."""

    boundary: Tensor | None
    """B ``(H, W)`` in [0, 1], the probability of an object's boundary; None: D = 0."""
    semantic: Tensor | None
    """C ``(K, H, W)``, sums to 1 over K; None: E = 0."""
    size: tuple[int, int]
    """H, W."""
    divergence: DivergenceKind
    """What E is."""
    include_ends: bool
    """Whether the two pixels themselves are on the line between them."""
    exact_reach: int
    """The longest major offset whose line maxima are exact without a gradient: `LongLineMaxima`."""

    @property
    def tensors(self) -> list[Tensor]:
        """The score maps that exist, one at least."""
        return [x for x in (self.boundary, self.semantic) if x is not None]

    def detach(self) -> ScoreMaps:
        """The same values as constants."""
        return replace(
            self,
            boundary=None if self.boundary is None else self.boundary.detach(),
            semantic=None if self.semantic is None else self.semantic.detach(),
        )


class RegionAttention:
    """F of the horizontal or of the vertical pairs of an image's pixels."""

    def __init__(self, maps: ScoreMaps, vertical: bool) -> None:
        self.maps, self.vertical = maps, vertical
        self.major_size, self.minor_size = maps.size if vertical else maps.size[::-1]
        self.tensors: tuple[Tensor, ...] = ()
        """Flat maps that F depends on, for `scores`: B, and what the divergence takes of C."""
        if maps.boundary is not None:
            self.tensors += (flatten_map(maps.boundary.unsqueeze(0), vertical),)
        self._divergence: FullDivergence | BinaryDivergence | None = None
        if maps.semantic is not None:
            kind = FullDivergence if maps.divergence == "full2" else BinaryDivergence
            self._divergence = kind(flatten_map(maps.semantic, vertical))
            self.tensors += self._divergence.tensors
        self._long_lines: LongLineMaxima | None = None

    def scores(self, pairs: PixelPairs, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, positions)`` F_ij and F_ji from `tensors`; where not inside, anything finite."""
        e_ij, e_ji = self.divergences(pairs, *tensors)
        if self.maps.boundary is None:
            return 1 - e_ij, 1 - e_ji
        no_boundary = 1 - self._line_maxima(tensors[0], pairs)
        f_ij = no_boundary * (1 - e_ij)  # (3)
        return f_ij, f_ij if e_ji is e_ij else no_boundary * (1 - e_ji)

    def divergences(self, pairs: PixelPairs, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, positions)`` E_ij and E_ji (2)."""
        if self._divergence is None:
            zeros = tensors[0].new_zeros(len(pairs.minor), pairs.positions)
            return zeros, zeros
        return self._divergence.between(pairs, *tensors[-2:])

    def _line_maxima(self, boundary: Tensor, pairs: PixelPairs) -> Tensor:
        """``(m, positions)`` D (1)."""
        reach, include_ends = self.maps.exact_reach, self.maps.include_ends
        if pairs.longest <= reach:
            return line_maxima(boundary, pairs, include_ends)
        if self._long_lines is None:
            start = self.pairs_up_to({reach: min(reach, self.minor_size - 1)})
            self._long_lines = LongLineMaxima(boundary, include_ends, start)
        return self._long_lines.maxima(pairs)

    def pairs_up_to(self, minor_bounds: dict[int, int]) -> PixelPairs:
        """Pairs of these maps at each major offset, with minor offsets up to its bound."""
        device = self.maps.tensors[0].device
        return pairs_up_to(self.major_size, self.minor_size, minor_bounds, device)

    def pairs_within(self, labels: Tensor) -> Iterator[tuple[PixelPairs, Tensor]]:
        """Each unordered pair of pixels with one label: pairs, and ``(m, positions)`` bool, which.

        Args:
            labels: ``(H, W)`` int64, from 0 on.
        """
        flat = flatten_map(labels.unsqueeze(0).int(), self.vertical)
        classes = 1 if self.maps.semantic is None else len(self.maps.semantic)
        device = "cpu" if labels.device.type == "cpu" else "cuda"
        limit = min(MAX_PAIRS[device], MAX_PROBABILITIES[device] // classes)
        for pairs in self._all_pairs(*_extents(labels, self.vertical)):
            same = (pairs.second(flat)[:, 0] == pairs.first(flat)) & pairs.inside()
            occurring = same.any(1).nonzero().squeeze(1)  # offsets with a pair in a region
            for offsets in torch.split(occurring, max(1, limit // pairs.positions)):
                if len(offsets):
                    yield pairs.select(offsets), same[offsets]

    def _all_pairs(self, major: int, minor: int) -> Iterator[PixelPairs]:
        """All pairs up to two offsets, those of several major ones at once while they are few."""
        bounds: dict[int, int] = {}
        count = 0
        for offset in range(1, major + 1):
            # A pair as far apart in rows as in columns is horizontal: so each is met once.
            bound = min(offset - self.vertical, minor)
            positions = (self.major_size - min(bounds, default=offset)) * self.minor_size
            full = count + (2 * bound + 1) * positions > MAX_PAIRS_TOGETHER
            if bounds and (full or offset > self.maps.exact_reach):
                yield self.pairs_up_to(bounds)
                bounds, count = {}, 0
                positions = (self.major_size - offset) * self.minor_size
            bounds[offset] = bound
            count += (2 * bound + 1) * positions
        if bounds:
            yield self.pairs_up_to(bounds)


def _extents(labels: Tensor, vertical: bool) -> tuple[int, int]:
    """The longest offsets between pixels of one label, along the major and the minor axis."""
    label, longest = labels.flatten(), []
    for axis, size in enumerate(labels.shape):
        place = torch.arange(size, device=labels.device)
        place = (place if axis else place.unsqueeze(1)).expand(labels.shape).flatten()
        low = torch.full_like(label, size).scatter_reduce(0, label, place, "amin")
        high = torch.zeros_like(label).scatter_reduce(0, label, place, "amax")
        longest.append(int((high - low).max()))
    rows, columns = longest
    return (rows, columns) if vertical else (columns, rows)


def representative_scores(maps: ScoreMaps, labels: Tensor) -> Tensor:
    """J ``(H, W)`` in [0, 1]: the mean of F_ij over the pixels j of i's region, i among them (5).

    Differentiable in both maps. The backward pass computes F once more, some pairs at a time, so
    that memory stays that of these pairs.

    Args:
        maps: the score maps.
        labels: ``(H, W)`` int64 regions, 0..Q-1.
    """
    if torch.is_grad_enabled() and any(x.requires_grad for x in maps.tensors):
        maps = replace(maps, exact_reach=max(maps.size))
    total = maps.tensors[0].new_ones(maps.size)
    if maps.boundary is not None and maps.include_ends:
        total = 1 - maps.boundary  # F_ii: the line of a pixel to itself is the pixel
    for vertical in (False, True):
        attention = RegionAttention(maps, vertical)
        sums: Tensor = _SumsWithinRegions.apply(attention, labels, *attention.tensors)
        total = total + unflatten_map(sums, *maps.size, vertical)[0]
    sizes = labels.flatten().bincount()
    return total / sizes[labels]


class _SumsWithinRegions(torch.autograd.Function):
    """``(1, T)`` sums of F_ij over the other pixels j of i's region, of one axis' pairs."""

    @staticmethod
    def forward(ctx: Any, attention: RegionAttention, labels: Tensor, *tensors: Tensor) -> Tensor:
        ctx.attention = attention
        ctx.save_for_backward(labels, *tensors)
        sums = tensors[0].new_zeros(1, tensors[0].shape[1])
        for pairs, same in attention.pairs_within(labels):
            sums += _sums(attention, pairs, same, *tensors)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        attention: RegionAttention = ctx.attention
        labels, *tensors = ctx.saved_tensors
        inputs = [
            x.detach().requires_grad_(needed)
            for x, needed in zip(tensors, ctx.needs_input_grad[2:], strict=True)
        ]
        leaves = [x for x in inputs if x.requires_grad]
        totals = [torch.zeros_like(x) for x in leaves]
        for pairs, same in attention.pairs_within(labels):
            with torch.enable_grad():
                sums = _sums(attention, pairs, same, *inputs)
            if sums.requires_grad:
                shares = torch.autograd.grad(sums, leaves, grad)
                for total, share in zip(totals, shares, strict=True):
                    total += share
        gradients = iter(totals)
        return None, None, *(next(gradients) if x.requires_grad else None for x in inputs)


def _sums(attention: RegionAttention, pairs: PixelPairs, same: Tensor, *tensors: Tensor) -> Tensor:
    """``(1, T)`` sums of F_ij at i and of F_ji at j, over the pairs of one region."""
    scores = attention.scores(pairs, *tensors)
    f_ij = scores[0].where(same, 0).unsqueeze(1)
    f_ji = f_ij if scores[1] is scores[0] else scores[1].where(same, 0).unsqueeze(1)
    return pairs.sum_at_first(f_ij) + pairs.sum_at_second(f_ji)
