"""Pairs of positions of a map, many at once: all pairs of the same displacement, in contiguous runs of memory.

A map is laid flat with one axis leading (`lay`), position (a, b) at ``a·across + b``. The partner of (a, b) at a
displacement (step, slant) then lies ``step·across + slant`` further on, for all positions alike: the partners of
a run are a run. Runs of several slants are copied by one call, without an index for each position:

    across = 4, step = 1, slant = 1      i:  0 1 2 3 | 4 5 6 7 | ...
                                         j:  5 6 7 8 | 9 ...           8 is in the next row: not `inside`

So each unordered pair of a map is met once: step 1.. along the leading axis with |slant| <= step, and the same on
the turned map with |slant| < step. Of several steps at once the longer ones run past the map's end, where 0 stands;
that is what a small map gains by: few calls instead of a few for each step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def lay(x: Tensor, turned: bool) -> Tensor:
    """A map ``(C, H, W)`` as ``(C, (length + 1)·across)``: columns leading, rows if `turned`; the spare row is 0."""
    return F.pad(x if turned else x.transpose(1, 2), (0, 0, 0, 1)).flatten(1)


def lift(flat: Tensor, height: int, width: int, turned: bool) -> Tensor:
    """The map ``(C, height, width)`` that was laid flat."""
    length, across = (height, width) if turned else (width, height)
    x = flat.reshape(-1, length + 1, across)[:, :length]
    return x if turned else x.transpose(1, 2)


@dataclass(frozen=True)
class Displacements:
    """Displacements of some steps along the leading axis and slants across it.

    Their pairs (i, j) are numbered by displacement and by i, in ``(m, count)``; the second of each pair is at (a +
    step, b + slant). Those not `inside` the map have a wrong j or none.
    """

    length: int
    """Positions along the leading axis."""
    across: int
    """Positions across it."""
    lowest: int
    """The shortest step that there may be."""
    highest: int
    """The longest, up to length-1."""
    steps: Tensor
    """``(m,)`` int64, each in lowest..highest."""
    slants: Tensor
    """``(m,)`` int64, each in -(across-1)..across-1 and -step..step."""

    @property
    def count(self) -> int:
        """How many positions have a position `lowest` ahead."""
        return (self.length - self.lowest) * self.across

    @property
    def beyond(self) -> int:
        """How far the longest steps of these positions run past the map's end."""
        return (self.highest - self.lowest) * self.across

    def first(self, x: Tensor) -> Tensor:
        """``(C, count)`` values at i of flat maps ``(C, T)``."""
        return x[:, : self.count]

    def second(self, x: Tensor) -> Tensor:
        """``(m, C, count)`` values at j of flat maps ``(C, T)``."""
        found: Tensor = _Second.apply(x, self)
        return found

    def sum_first(self, y: Tensor) -> Tensor:
        """``(C, T)`` sums of the pairs' values ``(m, C, count)`` at their i."""
        return F.pad(y.sum(0), (0, (self.lowest + 1) * self.across))

    def sum_second(self, y: Tensor) -> Tensor:
        """``(C, T)`` sums of the pairs' values ``(m, C, count)``, 0 where not inside, at their j."""
        found: Tensor = _SumSecond.apply(y, self)
        return found

    def inside(self) -> Tensor:
        """``(m, count)`` bool, the pairs whose j is (a + step, b + slant)."""
        a = torch.arange(self.length - self.lowest, device=self.slants.device)
        b = torch.arange(self.across, device=self.slants.device) + self.slants.unsqueeze(1)
        ahead, beside = a < self.length - self.steps.unsqueeze(1), (b >= 0) & (b < self.across)
        return (ahead.unsqueeze(2) & beside.unsqueeze(1)).flatten(1)

    def take(self, which: Tensor) -> Displacements:
        """Those of `which`, an index or a mask of ``(m,)``; their pairs keep their numbers."""
        return replace(self, steps=self.steps[which], slants=self.slants[which])

    def split(self, pairs: int) -> list[Displacements]:
        """The same displacements, in parts of about `pairs` pairs."""
        size = max(1, pairs // self.count)
        parts = zip(torch.split(self.steps, size), torch.split(self.slants, size), strict=True)
        return [replace(self, steps=steps, slants=slants) for steps, slants in parts]


def fan(length: int, across: int, bounds: dict[int, int], device: torch.device) -> Displacements:
    """All displacements of some steps: of each from minus its bound across to its bound."""
    slants = [torch.arange(-bound, bound + 1, device=device) for bound in bounds.values()]
    steps = [torch.full_like(one, step) for step, one in zip(bounds, slants, strict=True)]
    return Displacements(
        length, across, min(bounds), max(bounds), torch.cat(steps), torch.cat(slants)
    )


def copy_runs(x: Tensor, starts: Tensor, count: int) -> Tensor:
    """``(m, C, count)`` runs of the rows of contiguous ``(C, T)`` from `starts` on. No gradient."""
    rows, size = x.shape
    return x.as_strided((size - count + 1, rows, count), (1, size, 1)).index_select(0, starts)


class _Second(torch.autograd.Function):
    """Copies of runs; its adjoint adds them up in place (autograd's own would make one map for each run)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, at: Displacements) -> Tensor:
        ctx.at = at
        x = F.pad(x.detach(), (0, at.beyond)) if at.beyond else x.detach().contiguous()
        return copy_runs(x, at.steps * at.across + at.slants, at.count)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.at.sum_second(grad), None


class _SumSecond(torch.autograd.Function):
    """The adjoint of `_Second`: a run moved back by its displacement is again a run, of the padded values."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, at: Displacements) -> Tensor:
        ctx.at = at
        slants, rows, count = y.shape
        padded = F.pad(y.detach(), (at.across + at.beyond, at.across))
        size = padded.shape[2]
        runs = padded.as_strided(
            (padded.numel() - rows * size + size - count + 1, rows, count), (1, size, 1)
        )
        starts = (
            torch.arange(slants, device=y.device) * (rows * size)
            + at.across
            + at.beyond
            - at.slants
        )
        moved = runs.index_select(0, starts - (at.steps - at.lowest) * at.across).sum(0)
        return F.pad(moved, (at.lowest * at.across, at.across))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.at.second(grad), None
