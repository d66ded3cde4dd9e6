"""All pairs of pixels that are certain offsets apart, copied and summed as runs of memory.

A pair has a major axis, along which its pixels are farther apart: columns for a horizontal pair,
rows for a vertical one. A map is flattened with the major axis leading (`flatten_map`), so that
position (a, b), a along the major and b along the minor axis, is at ``a * minor_size + b``.

The partner of each position at one offset (major, minor) then lies the same number of places
further on, ``major * minor_size + minor``. The partners of a run of positions are again a run,
copied by one call without an index for each pixel:

    minor_size 4,       i:  0 1 2 3 | 4 5 6 7 | ...
    offset (1, 1)       j:  5 6 7 8 | 9 ...         3 has no partner: 8 is one line too far

`PixelPairs.inside` marks such wrong partners. With offsets 1, 2, .. along the major
axis, and |minor| <= major for horizontal and |minor| < major for vertical pairs, each unordered
pair of a map is met once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def flatten_map(x: Tensor, vertical: bool) -> Tensor:
    """A map ``(C, H, W)`` as ``(C, (major_size + 1) * minor_size)``, a line of zeros at its end.

    Columns lead, or rows if `vertical`.
    """
    lines = x if vertical else x.transpose(1, 2)
    return F.pad(lines, (0, 0, 0, 1)).flatten(1)


def unflatten_map(flat: Tensor, height: int, width: int, vertical: bool) -> Tensor:
    """The map ``(C, height, width)`` that `flatten_map` flattened."""
    major_size, minor_size = (height, width) if vertical else (width, height)
    lines = flat.reshape(-1, major_size + 1, minor_size)[:, :major_size]
    return lines if vertical else lines.transpose(1, 2)


@dataclass(frozen=True)
class PixelPairs:
    """The pairs (i, j) of a map at m offsets, as ``(m, positions)``: one row for each offset.

    The offsets may have different lengths along the major axis. All then start from the same
    positions i, those that have a partner at the shortest: few calls for a small map. The longer
    ones run past the end of the map, where they read 0.
    """

    major_size: int
    """Positions along the major axis."""
    minor_size: int
    """Positions along the minor axis."""
    shortest: int
    """The smallest major offset that there may be."""
    longest: int
    """The largest, up to major_size - 1."""
    major: Tensor
    """``(m,)`` int64 offsets along the major axis, each in shortest..longest."""
    minor: Tensor
    """``(m,)`` int64 offsets along the minor axis, in -(minor_size - 1)..minor_size - 1."""

    @property
    def positions(self) -> int:
        """How many positions i are looked at."""
        return (self.major_size - self.shortest) * self.minor_size

    @property
    def overrun(self) -> int:
        """How far the longest offsets of these positions run past the end of a flat map."""
        return (self.longest - self.shortest) * self.minor_size

    @property
    def shifts(self) -> Tensor:
        """``(m,)`` int64, how many places of a flat map j is after i."""
        return self.major * self.minor_size + self.minor

    def first(self, x: Tensor) -> Tensor:
        """``(C, positions)`` values at i of flat maps ``(C, T)``."""
        return x[:, : self.positions]

    def second(self, x: Tensor) -> Tensor:
        """``(m, C, positions)`` values at j of flat maps ``(C, T)``."""
        found: Tensor = _Second.apply(x, self)
        return found

    def sum_at_first(self, y: Tensor) -> Tensor:
        """``(C, T)`` sums of the pairs' values ``(m, C, positions)`` at their i."""
        return F.pad(y.sum(0), (0, (self.shortest + 1) * self.minor_size))

    def sum_at_second(self, y: Tensor) -> Tensor:
        """``(C, T)`` sums of the pairs' values ``(m, C, positions)``, 0 where not inside, at j."""
        found: Tensor = _SumAtSecond.apply(y, self)
        return found

    def inside(self) -> Tensor:
        """``(m, positions)`` bool, the pairs whose j is on the map."""
        a = torch.arange(self.major_size - self.shortest, device=self.minor.device)
        b = torch.arange(self.minor_size, device=self.minor.device) + self.minor.unsqueeze(1)
        a_fits = a < self.major_size - self.major.unsqueeze(1)  # (m, a)
        b_fits = (b >= 0) & (b < self.minor_size)  # (m, b)
        return (a_fits.unsqueeze(2) & b_fits.unsqueeze(1)).flatten(1)

    def select(self, offsets: Tensor) -> PixelPairs:
        """The pairs at some of the offsets only, given by an index or a mask of ``(m,)``."""
        return replace(self, major=self.major[offsets], minor=self.minor[offsets])

    def split(self, limit: int) -> list[PixelPairs]:
        """The same offsets in parts of about `limit` pairs."""
        size = max(1, limit // self.positions)
        parts = zip(torch.split(self.major, size), torch.split(self.minor, size), strict=True)
        return [replace(self, major=major, minor=minor) for major, minor in parts]


def pairs_up_to(
    major_size: int, minor_size: int, minor_bounds: dict[int, int], device: torch.device
) -> PixelPairs:
    """Pairs at each major offset of `minor_bounds`, with all minor offsets from -bound to bound."""
    minor = [torch.arange(-bound, bound + 1, device=device) for bound in minor_bounds.values()]
    major = [torch.full_like(x, offset) for offset, x in zip(minor_bounds, minor, strict=True)]
    return PixelPairs(
        major_size,
        minor_size,
        shortest=min(minor_bounds),
        longest=max(minor_bounds),
        major=torch.cat(major),
        minor=torch.cat(minor),
    )


def copy_runs(x: Tensor, starts: Tensor, length: int) -> Tensor:
    """``(m, C, length)`` runs from `starts` on of each row of contiguous ``(C, T)``. No gradient.

    A view with overlapping rows has the run from place s on as its row s, so that one
    `index_select` copies whole runs.
    """
    rows, size = x.shape
    return x.as_strided((size - length + 1, rows, length), (1, size, 1)).index_select(0, starts)


class _Second(torch.autograd.Function):
    """Copies of runs. The adjoint adds them up in place; autograd's would make a map for each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pairs: PixelPairs) -> Tensor:
        ctx.pairs = pairs
        x = F.pad(x.detach(), (0, pairs.overrun)) if pairs.overrun else x.detach().contiguous()
        return copy_runs(x, pairs.shifts, pairs.positions)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.pairs.sum_at_second(grad), None


class _SumAtSecond(torch.autograd.Function):
    """The adjoint of `_Second`: what is at i is added at j.

    A run moved on by its shift is again a run, read from the values with zeros around them:

        y of one offset     . . . . y0 y1 y2 y3 . .         zeros: minor_size + overrun, minor_size
        moved on by 2       . . y0 y1 y2 y3                 read from 2 places earlier
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, pairs: PixelPairs) -> Tensor:
        ctx.pairs = pairs
        offsets, rows, length = y.shape
        before = pairs.minor_size + pairs.overrun
        padded = F.pad(y.detach(), (before, pairs.minor_size))
        size = padded.shape[2]
        runs = padded.as_strided(
            (padded.numel() - rows * size + size - length + 1, rows, length), (1, size, 1)
        )
        skipped = pairs.shortest * pairs.minor_size  # no j lies earlier on the map
        starts = torch.arange(offsets, device=y.device) * (rows * size) + before
        moved = runs.index_select(0, starts - (pairs.shifts - skipped)).sum(0)
        return F.pad(moved, (skipped, pairs.minor_size))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.pairs.second(grad), None
