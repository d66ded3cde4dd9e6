"""The highest boundary score on the straight line between two pixels: D, RANet's eq. (1).

The line is sampled once a step along its major axis. A sample between two pixels of the minor
axis is their linear interpolation (the paper's fig. 2). From either end the samples are the same.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.ranet.pixel_pairs import PixelPairs, copy_runs, pairs_up_to

MAX_PAIRS_ON_CPU = 2**16
"""Pairs whose samples are held at once on a CPU: they stay in a core's cache."""


def line_maxima(values: Tensor, pairs: PixelPairs, include_ends: bool) -> Tensor:
    """``(m, positions)`` maxima on the lines of the pairs; where not inside, anything finite.

    The gradient goes to the two pixels about the highest sample, the first one of equals.

    Args:
        values: ``(1, T)`` a flat map.
        pairs: the two ends of each line.
        include_ends: whether the two ends are on the line. If not, a line between neighbours is
            empty and its maximum 0.
    """
    found: Tensor = _LineMaxima.apply(values, pairs, include_ends)
    if include_ends or pairs.shortest > 1:
        return found
    return found.where(pairs.major.unsqueeze(1) > 1, 0)


class _LineMaxima(torch.autograd.Function):
    """All lines at once, sample after sample.

    Sample t of a line lies t steps along the major and ``t * minor / major`` across: a whole number
    and a fraction, one of 0/major, 1/major, ... The map is interpolated once for each fraction:

        table, one row a fraction   0/1: b0 b1 b2 ..
                                    0/2: b0 b1 b2 ..
                                    1/2: (b0+b1)/2 (b1+b2)/2 ..

    Then sample t of all lines at one offset is a run of one row. A line that has ended repeats its
    last sample, which changes no maximum.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, pairs: PixelPairs, include_ends: bool) -> Tensor:
        values = values.detach()
        samples = range(pairs.longest + 1) if include_ends else range(1, pairs.longest)
        fractions = _fractions(pairs, values)  # (f, 1)
        rows = values.lerp(values.roll(-1, 1), fractions)  # (f, T)
        table = F.pad(rows.flatten(), (0, pairs.overrun)).unsqueeze(0)
        wants_places = bool(samples) and ctx.needs_input_grad[0]
        maxima, places = [], []
        on_cpu = values.device.type == "cpu"
        for part in pairs.split(MAX_PAIRS_ON_CPU) if on_cpu else [pairs]:
            starts = _starts(samples, part, values.shape[1])
            highest, peak = _highest_samples(table, starts, part.positions, wants_places)
            maxima.append(highest)
            if peak is not None:
                places.append(
                    starts.T.gather(1, peak.long())
                )  # where the run of that sample starts
        ctx.fractions, ctx.size, ctx.table_size = fractions, values.shape[1], table.shape[1]
        ctx.places = torch.cat(places) if places else None
        return torch.cat(maxima)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        total = grad.new_zeros(ctx.table_size)
        if ctx.places is not None:
            place = ctx.places + torch.arange(grad.shape[1], device=grad.device)
            total.scatter_add_(0, place.flatten(), grad.flatten())
        table = total[: len(ctx.fractions) * ctx.size].reshape(-1, ctx.size)
        # A sample is (1 - fraction) of one pixel and fraction of the next one.
        upper = table * ctx.fractions
        lower = table - upper
        return lower.sum(0, keepdim=True) + upper.sum(0, keepdim=True).roll(1, 1), None, None


def _highest_samples(
    table: Tensor, starts: Tensor, positions: int, wants_places: bool
) -> tuple[Tensor, Tensor | None]:
    """``(m, positions)`` maxima over the samples, and which sample each is, as int16, if wanted.

    Short integers, as this is most of the work.
    """
    lines = (starts.shape[1], positions)
    highest = table.new_full(lines, -torch.inf if len(starts) else 0)
    peak = table.new_zeros(lines, dtype=torch.int16) if wants_places else None
    for t, start in enumerate(torch.unbind(starts)):
        sample = copy_runs(table, start, positions)[:, 0]
        if peak is not None and t:  # the last sample that rises above all before it is the highest
            torch.maximum(peak, (sample > highest).to(peak.dtype).mul_(t), out=peak)
        torch.maximum(highest, sample, out=highest)
    return highest, peak


def _fractions(pairs: PixelPairs, values: Tensor) -> Tensor:
    """``(f, 1)`` of `values`' type: 0/major, 1/major, .. for each major offset in turn."""
    offsets = range(pairs.shortest, pairs.longest + 1)
    fractions = [
        torch.arange(major, device=values.device) / values.new_full((), major) for major in offsets
    ]
    return torch.cat(fractions).unsqueeze(1)


def _starts(samples: range, pairs: PixelPairs, size: int) -> Tensor:
    """``(t, m)`` int64, where in the flattened table sample t of the line from pixel 0 is."""
    t = torch.arange(samples.start, samples.stop, device=pairs.minor.device).unsqueeze(1)
    t = torch.minimum(t, pairs.major - samples.start)  # the last sample, again and again
    across = t * pairs.minor  # in units of 1/major
    shorter = pairs.major * (pairs.major - 1) - pairs.shortest * (pairs.shortest - 1)
    row = shorter // 2 + across.remainder(pairs.major)  # rows of the shorter offsets come first
    whole = across.div(pairs.major, rounding_mode="floor")
    return row * size + t * pairs.minor_size + whole


@dataclass
class LongLineMaxima:
    """Approximate maxima of ever longer lines, each from those one step shorter.

    The maximum from i to j is taken from j and from what the lines one step shorter have where the
    line crosses their ends, interpolated between two of them:

             . . . j       exact ones would cost the fifth power of a map's side, these the fourth:
             . . x .       x lies between the ends of two lines from i
         i . . . . .

    Without gradient. Measured on maps in [0, 1], the error of all lines longer than the start is
    (mean, 99th percentile, largest):

        96 x 96, from 48:    uniform noise .020, .087, .190;  thin edges .014, .061, .312
        64 x 64, from 48:    uniform noise .017, .084, .199;  thin edges .010, .058, .153
        64 x 64, from 1:     uniform noise .037, .165, .472;  thin edges .023, .183, .614
    """

    values: Tensor
    """``(1, T)`` a flat map."""
    include_ends: bool
    """Whether i and j are on the line."""
    pairs: PixelPairs
    """The pairs reached: one major offset, all minor ones. At first where exact maxima end."""

    def __post_init__(self) -> None:
        self._keep(line_maxima(self.values, self.pairs, self.include_ends))

    def _keep(self, maxima: Tensor) -> None:
        """Keep the maxima, and those with j, which is inside the longer lines."""
        self._maxima = self._with_j = maxima
        if not self.include_ends:
            self._with_j = torch.maximum(maxima, self.pairs.second(self.values)[:, 0])

    def maxima(self, wanted: PixelPairs) -> Tensor:
        """``(m, positions)`` maxima of pairs of one major offset, no shorter than before."""
        while self.pairs.longest < wanted.longest:
            self._advance()
        return self._maxima.index_select(0, wanted.minor - self.pairs.minor[0])

    def _advance(self) -> None:
        reached, step = self.pairs, self.pairs.longest + 1
        bound = min(step, reached.minor_size - 1)
        longer = pairs_up_to(
            reached.major_size, reached.minor_size, {step: bound}, reached.minor.device
        )
        crossing = longer.minor * (step - 1)  # where the lines cross, in units of 1/step
        row = crossing.div(step, rounding_mode="floor") - reached.minor[0]
        weight = (crossing.remainder(step) / self.values.new_full((), step)).unsqueeze(1)
        rows = self._with_j[:, : longer.positions]
        next_row = (row + 1).clamp(max=rows.shape[0] - 1)
        found = (1 - weight) * rows.index_select(0, row) + weight * rows.index_select(0, next_row)
        self.pairs = longer
        if self.include_ends:
            found = torch.maximum(found, longer.second(self.values)[:, 0])
        self._keep(found)
