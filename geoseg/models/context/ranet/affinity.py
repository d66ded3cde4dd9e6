"""How likely two pixels are of one object: RANet's eq. (3), and its mean over a pixel's region, eq. (5).

Neither the N x N table of pairs nor a list of pairs is made: displacements are visited one step after the other, some
slants at a time, and only those that occur within regions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from geoseg.models.context.ranet.jensen_shannon import BinaryDivergence, FullDivergence, Kind
from geoseg.models.context.ranet.line_maxima import RingMaxima, line_maxima
from geoseg.models.context.ranet.pixel_pairs import Displacements, fan, lay, lift

CHUNK = {"cpu": 2**18, "cuda": 2**22}
"""Pairs held at once: what stays in a core's cache; what keeps a GPU busy."""
FAN = 2**16
"""Pairs up to which several steps are taken at once: where a step has few, its calls take longer than its pairs."""
PROBABILITIES = {"cpu": 2**22, "cuda": 2**25}
"""Class probabilities of pairs held at once."""


@dataclass(frozen=True)
class ScoreMaps:
    """The two score maps of one image, and how pairs are compared by them."""

    boundary: Tensor | None
    """B ``(H, W)`` in [0, 1], the probability of an object's boundary; None: D = 0."""
    classes: Tensor | None
    """C ``(K, H, W)``, sums to 1 over K; None: E = 0."""
    size: tuple[int, int]
    """H, W."""
    jsd: Kind
    ends: bool
    """Whether the two pixels themselves are on the line between them."""
    reach: int
    """The longest displacement whose line maxima are exact where no gradient is wanted; see `RingMaxima`."""

    @property
    def given(self) -> Tensor:
        """A score map that there is."""
        return next(x for x in (self.boundary, self.classes) if x is not None)

    def detach(self) -> ScoreMaps:
        """The same values as constants."""
        boundary = None if self.boundary is None else self.boundary.detach()
        return replace(
            self, boundary=boundary, classes=None if self.classes is None else self.classes.detach()
        )


class Affinities:
    """F of the displacements of a pair of score maps, with one axis leading."""

    def __init__(self, maps: ScoreMaps, turned: bool) -> None:
        self.maps, self.turned = maps, turned
        self.length, self.across = maps.size if turned else maps.size[::-1]
        self.lines = None if maps.boundary is None else lay(maps.boundary.unsqueeze(0), turned)
        kind = FullDivergence if maps.jsd == "full2" else BinaryDivergence
        self._divergence = None if maps.classes is None else kind(lay(maps.classes, turned))
        self._ring: RingMaxima | None = None

    @property
    def device(self) -> torch.device:
        """Where the maps are."""
        return self.maps.given.device

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What F depends on, for `pairs`."""
        lines = () if self.lines is None else (self.lines,)
        return lines + (() if self._divergence is None else self._divergence.tensors)

    def pairs(self, at: Displacements, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, count)`` F_ij and F_ji of the pairs, from `tensors` (3); of those not inside, anything finite."""
        e_ij, e_ji = self.divergences(at, *tensors)
        if self.lines is None:
            return 1 - e_ij, 1 - e_ji
        open_ = 1 - self._line_maxima(tensors[0], at)
        f_ij = open_ * (1 - e_ij)
        return f_ij, f_ij if e_ji is e_ij else open_ * (1 - e_ji)

    def divergences(self, at: Displacements, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, count)`` E_ij and E_ji of the pairs."""
        if self._divergence is None:
            nothing = tensors[0].new_zeros(at.slants.shape[0], at.count)
            return nothing, nothing
        return self._divergence.pairs(at, *tensors[-2:])

    def _line_maxima(self, lines: Tensor, at: Displacements) -> Tensor:
        reach = self.maps.reach
        if at.highest <= reach:
            return line_maxima(lines, at, self.maps.ends)
        if self._ring is None:
            start = self.fan({reach: min(reach, self.across - 1)})
            self._ring = RingMaxima(lines, self.maps.ends, start)
        return self._ring.maxima(at)

    def within(self, labels: Tensor) -> Iterator[tuple[Displacements, Tensor]]:
        """Each unordered pair of pixels of one label, but those met on the turned map: displacements, and which pairs.

        Args:
            labels: ``(H, W)`` int64, from 0 on.
        """
        flat = lay(labels.unsqueeze(0).int(), self.turned)
        steps, furthest = _extents(labels, self.turned)
        classes = 1 if self.maps.classes is None else self.maps.classes.shape[0]
        kind = "cpu" if labels.device.type == "cpu" else "cuda"
        pairs = min(CHUNK[kind], PROBABILITIES[kind] // classes)
        for every in self._fans(steps, furthest):
            same = (every.second(flat)[:, 0] == every.first(flat)) & every.inside()
            chunk = max(1, pairs // every.count)
            for some in torch.split(same.any(1).nonzero().squeeze(1), chunk):
                if len(some):
                    yield every.take(some), same[some]

    def fan(self, bounds: dict[int, int]) -> Displacements:
        """Displacements in these maps: of each step, slants up to its bound."""
        return fan(self.length, self.across, bounds, self.device)

    def _fans(self, steps: int, furthest: int) -> Iterator[Displacements]:
        """All displacements up to `steps` ahead and `furthest` across; short fans are put together, see `FAN`."""
        bounds: dict[int, int] = {}
        pairs = 0
        for step in range(1, steps + 1):
            bound = min(step - self.turned, self.across - 1, furthest)
            count = (self.length - min(bounds, default=step)) * self.across
            if bounds and (pairs + (2 * bound + 1) * count > FAN or step > self.maps.reach):
                yield self.fan(bounds)
                bounds, pairs, count = {}, 0, (self.length - step) * self.across
            bounds[step] = bound
            pairs += (2 * bound + 1) * count
        if bounds:
            yield self.fan(bounds)


def _extents(labels: Tensor, turned: bool) -> tuple[int, int]:
    """The longest displacement within a label, along the leading axis and across it."""
    label, longest = labels.flatten(), []
    for axis, size in enumerate(labels.shape):
        place = torch.arange(size, device=labels.device)
        place = (place if axis else place.unsqueeze(1)).expand(labels.shape).flatten()
        low = torch.full_like(label, size).scatter_reduce(0, label, place, "amin")
        high = torch.zeros_like(label).scatter_reduce(0, label, place, "amax")
        longest.append(int((high - low).max()))
    return (longest[0], longest[1]) if turned else (longest[1], longest[0])


def representative_scores(maps: ScoreMaps, labels: Tensor) -> Tensor:
    """J ``(H, W)`` in [0, 1]: the mean of F_ij over the pixels j of i's region, i among them (5).

    Differentiable in both maps; in the backward pass F is computed once more, chunk by chunk, so that memory stays
    that of one chunk.

    Args:
        maps: the score maps.
        labels: ``(H, W)`` int64 regions, 0..Q-1.
    """
    if torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in (maps.boundary, maps.classes)
    ):
        maps = replace(maps, reach=max(maps.size))
    total = maps.given.new_ones(maps.size)
    if maps.boundary is not None and maps.ends:
        total = 1 - maps.boundary  # F_ii
    for turned in (False, True):
        affinities = Affinities(maps, turned)
        sums: Tensor = _Sums.apply(affinities, labels, *affinities.tensors)
        total = total + lift(sums, *maps.size, turned)[0]
    sizes = labels.flatten().bincount()
    return total / sizes[labels]


class _Sums(torch.autograd.Function):
    """``(1, T)`` sums of F_ij over the other pixels j of i's region, of the pairs that one axis leads."""

    @staticmethod
    def forward(ctx: Any, affinities: Affinities, labels: Tensor, *tensors: Tensor) -> Tensor:
        ctx.affinities = affinities
        ctx.save_for_backward(labels, *tensors)
        sums = tensors[0].new_zeros(1, tensors[0].shape[1])
        for at, same in affinities.within(labels):
            sums += _sums(affinities, at, same, *tensors)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        affinities: Affinities = ctx.affinities
        labels, *tensors = ctx.saved_tensors
        wanted = [
            x.detach().requires_grad_(needed)
            for x, needed in zip(tensors, ctx.needs_input_grad[2:], strict=True)
        ]
        leaves = [x for x in wanted if x.requires_grad]
        totals = [torch.zeros_like(x) for x in leaves]
        for at, same in affinities.within(labels):
            with torch.enable_grad():
                part = _sums(affinities, at, same, *wanted)
            if part.requires_grad:
                for total, share in zip(
                    totals, torch.autograd.grad(part, leaves, grad), strict=True
                ):
                    total += share
        found = iter(totals)
        return None, None, *(next(found) if x.requires_grad else None for x in wanted)


def _sums(affinities: Affinities, at: Displacements, same: Tensor, *tensors: Tensor) -> Tensor:
    pair = affinities.pairs(at, *tensors)
    f_ij = pair[0].where(same, 0).unsqueeze(1)
    f_ji = f_ij if pair[1] is pair[0] else pair[1].where(same, 0).unsqueeze(1)
    return at.sum_first(f_ij) + at.sum_second(f_ji)
