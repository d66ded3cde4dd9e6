"""The highest value on the straight line between two positions of a map: RANet's eq. (1).

The line is sampled once a step along its longer axis; between two positions a sample is their linear
interpolation (the paper's fig. 2). From either end the samples are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.ranet.pixel_pairs import Displacements, copy_runs, fan

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
    return found if ends or at.lowest > 1 else found.where(at.steps.unsqueeze(1) > 1, 0)


class _LineMaxima(torch.autograd.Function):
    """All lines at once, sample by sample; lines that have ended repeat their last sample, which changes no maximum.

    Sample t of a line lies ``t·slant/step`` across: a whole number and one of `step` fractions. The map is
    interpolated once for each fraction; then the samples of all lines are runs of this table.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, at: Displacements, ends: bool) -> Tensor:
        values = values.detach()
        samples = range(0 if ends else 1, at.highest + (1 if ends else 0))
        best = values.new_full((at.slants.shape[0], at.count), -torch.inf if samples else 0)
        # The sample that the maximum is; short integers, as this is most of the work.
        peak = (
            torch.zeros_like(best, dtype=torch.int16)
            if samples and ctx.needs_input_grad[0]
            else None
        )
        fractions = _fractions(at, values)
        table = F.pad(
            values.lerp(values.roll(-1, 1), fractions).flatten(), (0, at.beyond)
        ).unsqueeze(0)
        first = 0
        places = []
        for part in at.split(RUNS if values.device.type == "cpu" else at.count * len(best)):
            rows = slice(first, first + len(part.slants))
            first = rows.stop
            starts = _starts(samples, part, values.shape[1])
            highest = best[rows]
            latest = None if peak is None else peak[rows]
            for t, start in enumerate(torch.unbind(starts)):
                sample = copy_runs(table, start, at.count)[:, 0]
                if (
                    latest is not None and t
                ):  # the last of the samples that rose above all before them
                    torch.maximum(latest, (sample > highest).to(latest.dtype).mul_(t), out=latest)
                torch.maximum(highest, sample, out=highest)
            if latest is not None:
                places.append(starts.T.gather(1, latest.long()))
        ctx.fractions, ctx.size = fractions, (values.shape[1], table.shape[1])
        ctx.peak = torch.cat(places) if places else None
        return best

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        size, places = ctx.size
        fractions, total = ctx.fractions, grad.new_zeros(places)
        if ctx.peak is not None:
            place = ctx.peak + torch.arange(grad.shape[1], device=grad.device)
            total.scatter_add_(0, place.flatten(), grad.flatten())
        table = total[: len(fractions) * size].reshape(-1, size)
        upper = table * fractions
        return (
            (table - upper).sum(0, keepdim=True) + upper.sum(0, keepdim=True).roll(1, 1),
            None,
            None,
        )


def _fractions(at: Displacements, values: Tensor) -> Tensor:
    """``(f, 1)`` of `values`' type: how far between two positions samples lie, for each step in turn."""
    steps = range(at.lowest, at.highest + 1)
    of_step = [
        torch.arange(step, device=values.device) / values.new_full((), step) for step in steps
    ]
    return torch.cat(of_step).unsqueeze(1)


def _starts(samples: range, at: Displacements, size: int) -> Tensor:
    """``(t, m)`` int64 where in the table of `_fractions` the samples of the first line of each displacement are."""
    t = torch.arange(samples.start, samples.stop, device=at.slants.device).unsqueeze(1)
    t = torch.minimum(t, at.steps - samples.start)
    across = t * at.slants
    before = (
        at.steps * (at.steps - 1) - at.lowest * (at.lowest - 1)
    ) // 2  # fractions of shorter steps
    row = before + across.remainder(at.steps)
    return row * size + t * at.across + across.div(at.steps, rounding_mode="floor")


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
        self._open = (
            maxima if self.ends else torch.maximum(maxima, self.at.second(self.values)[:, 0])
        )

    def maxima(self, wanted: Displacements) -> Tensor:
        """``(m, count)`` maxima of pairs of one step, that of the call before or a later one."""
        while self.at.highest < wanted.highest:
            self._advance()
        return self._maxima.index_select(0, wanted.slants - self.at.slants[0])

    def _advance(self) -> None:
        step = self.at.highest + 1
        bound = min(step, self.at.across - 1)
        now = fan(self.at.length, self.at.across, {step: bound}, self.at.slants.device)
        before = now.slants * (step - 1)
        lower = before.div(step, rounding_mode="floor")
        weight = (before.remainder(step) / self.values.new_full((), step)).unsqueeze(1)
        row = lower - self.at.slants[0]
        rows = self._open[:, : now.count]
        last = rows.shape[0] - 1
        crossed = (1 - weight) * rows.index_select(0, row) + weight * rows.index_select(
            0, (row + 1).clamp(max=last)
        )
        self._maxima = (
            torch.maximum(crossed, now.second(self.values)[:, 0]) if self.ends else crossed
        )
        self.at = now
        self._pass_on(self._maxima)
