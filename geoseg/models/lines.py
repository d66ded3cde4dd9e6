"""The highest value on the straight line between two positions of a map: RANet's eq. (1).

The line is sampled once a step along its longer axis; between two positions a sample is their linear
interpolation (the paper's fig. 2). From either end the samples are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from geoseg.models.displacements import Displacements, copy_runs

RUNS = 2**16
"""Pairs whose samples are held at once on a CPU: they stay in a core's cache."""


def line_maxima(values: Tensor, at: Displacements, ends: bool) -> Tensor:
    """``(m, count)`` maxima on the lines of the pairs; of pairs that are not inside the map, anything finite.

    The gradient goes to the two positions about the highest sample, the first one where samples tie.

    Args:
        values: ``(1, T)`` a map, laid flat.
        at: the pairs.
        ends: whether the two positions themselves are on the line. If not, lines between neighbours are empty: 0.
    """
    found: Tensor = _LineMaxima.apply(values, at, ends)
    return found


class _LineMaxima(torch.autograd.Function):
    """All lines of one step at once, sample by sample.

    Sample t of a line lies ``t·slant/step`` across: a whole number and one of `step` fractions. The map is
    interpolated once for each fraction; then the samples of all lines are runs of it.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, at: Displacements, ends: bool) -> Tensor:
        values = values.detach()
        samples = range(0 if ends else 1, at.step + (1 if ends else 0))
        best = values.new_full((at.slants.shape[0], at.count), -torch.inf if samples else 0)
        peak = torch.zeros_like(best, dtype=torch.int32) if samples and ctx.needs_input_grad[0] else None
        size = values.shape[1]
        fraction = torch.arange(at.step, device=values.device).unsqueeze(1) / values.new_full((), at.step)
        table = values.lerp(values.roll(-1, 1), fraction).reshape(1, -1)
        first = 0
        for part in at.split(RUNS if values.device.type == "cpu" else at.count * len(best)):
            rows = slice(first, first + len(part.slants))
            first = rows.stop
            along = torch.arange(samples.start, samples.stop, device=values.device).unsqueeze(1)
            whole, rest = _place(along, part)
            for t, starts in zip(samples, torch.unbind(rest * size + along * at.across + whole), strict=True):
                sample = copy_runs(table, starts, at.count)[:, 0]
                if peak is not None:
                    peak[rows].masked_fill_(sample > best[rows], t)
                torch.maximum(best[rows], sample, out=best[rows])
        ctx.at, ctx.peak, ctx.size = at, peak, size
        return best

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        if ctx.peak is None:
            return grad.new_zeros(1, ctx.size), None, None
        at, t = ctx.at, ctx.peak.long()
        whole, part = _place(t, replace(at, slants=at.slants.unsqueeze(1)))
        place = torch.arange(at.count, device=grad.device) + t * at.across + whole
        upper = grad * (part / grad.new_full((), at.step))
        total = grad.new_zeros(ctx.size)
        total.scatter_add_(0, place.flatten(), (grad - upper).flatten())
        total.scatter_add_(0, (place.flatten() + 1) % ctx.size, upper.flatten())
        return total.unsqueeze(0), None, None


def _place(t: Tensor, at: Displacements) -> tuple[Tensor, Tensor]:
    """How far across sample t lies: whole positions, and parts of `step` beyond."""
    across = t * at.slants
    return across.div(at.step, rounding_mode="floor"), across.remainder(at.step)


@dataclass
class RingMaxima:
    """Approximate line maxima of ever longer steps, each from those of the step before: N² values for N positions.

    The maximum up to (step, slant) is taken from j and from what the step before has at the place where the line
    crosses it, interpolated between two lines. Without gradient. Measured on maps in [0, 1], the error of all lines
    longer than the start is (mean, 99th percentile, largest):

        96 x 96, from step 48:    uniform noise .020, .087, .190;  thin edges between areas .014, .061, .312
        64 x 64, from step 48:    uniform noise .017, .084, .199;  thin edges between areas .010, .058, .153
        64 x 64, from step 1:     uniform noise .037, .165, .472;  thin edges between areas .023, .183, .614
    """

    values: Tensor
    """``(1, T)`` a map, laid flat."""
    ends: bool
    """Whether i and j are on the line."""
    at: Displacements
    """The displacements that have been reached, of all slants; at first those where the exact maxima end."""

    def __post_init__(self) -> None:
        self._maxima = line_maxima(self.values, self.at, self.ends)
        self._pass_on(self._maxima)

    def _pass_on(self, maxima: Tensor) -> None:
        """Keep what the next ring builds upon: the lines with their j, which are ends of these lines only."""
        self._open = maxima if self.ends else torch.maximum(maxima, self.at.second(self.values)[:, 0])

    def maxima(self, wanted: Displacements) -> Tensor:
        """``(m, count)`` maxima of pairs whose step is that of the call before or a later one."""
        while self.at.step < wanted.step:
            self._advance()
        return self._maxima.index_select(0, wanted.slants - self.at.slants[0])

    def _advance(self) -> None:
        step = self.at.step + 1
        bound = min(step, self.at.across - 1)
        slants = torch.arange(-bound, bound + 1, device=self.at.slants.device)
        now = replace(self.at, step=step, slants=slants)
        before = slants * (step - 1)
        lower = before.div(step, rounding_mode="floor")
        weight = (before.remainder(step) / self.values.new_full((), step)).unsqueeze(1)
        row = lower - self.at.slants[0]
        rows = self._open[:, : now.count]
        last = rows.shape[0] - 1
        crossed = (1 - weight) * rows.index_select(0, row) + weight * rows.index_select(0, (row + 1).clamp(max=last))
        self._maxima = torch.maximum(crossed, now.second(self.values)[:, 0]) if self.ends else crossed
        self.at = now
        self._pass_on(self._maxima)
