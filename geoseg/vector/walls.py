r"""Stretches of a border as walls at right angles: the cheapest way from one end to the other.

Walls run in a main direction of the region or at a right angle to it. Each stands for the stations
from one break to another, none of which is farther from the wall's line than `BAND`. At a break the
path turns by a right angle, at no given point; or it passes through the station there, which is
where walls of other directions begin, and lines that stay as they are.

A wall costs a little, and so does each station's distance from it; the path of least cost is found
as shortest paths are, break by break, for all stretches at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.directions import MOST

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BAND = 0.5**0.5
"""How far stations may be from the line of their wall, in tolerances. Where two walls meet, the
corner is at most a tolerance from the station there."""

TYPES = 2 * MOST
"""Walls along a direction have the even ones, walls across it the next."""
STAYS = -1
"""In place of a type: a line that stays as it is."""
_WALL = 0.7
"""Cost of a wall; leaving away a bump that is half a band deep and three long costs as much."""
_LINE = 2.0
"""Of a line that stays as it is."""
_SLANTED = 0.5
"""Lines that leave a wall's direction by more than so much of their way count little for it."""
_LITTLE = 0.1
_PINNED = 0.5
"""Of a wall's end that must pass through its station."""
_THROUGH = 0
"""State of a station that the path passes through; 1 + type where a wall of that type ends."""


@dataclass(frozen=True, slots=True)
class Stations:
    """What is known of the stations of some stretches."""

    along: Floats
    """``(TYPES, stations)`` in bands, along walls of each type; NaN: the region has none."""
    off: Floats
    """Likewise, across these walls."""
    first: Ints
    """Where each stretch begins; one entry more at the end."""
    is_ring: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    """Of the line that begins at each station: whether it stays as it is."""


@dataclass(frozen=True, slots=True)
class Walls:
    """The walls of all stretches, in their order."""

    begin: Ints
    """Station at which each begins."""
    end: Ints
    kind: Ints
    """Its type, or `STAYS`."""
    offset: Floats
    """Of its line, across the wall."""
    starts_through: NDArray[np.bool_]
    """Whether it passes through the station where it begins."""
    ends_through: NDArray[np.bool_]


def find_walls(stations: Stations) -> Walls:
    """The cheapest walls. A ring begins and ends within a wall, unless its first line stays.

    A stretch has none where there is no way.
    """
    steps = _Steps.of(stations)
    best, came = _shortest(stations, steps)
    first, last = stations.first[:-1], stations.first[1:] - 1
    opened = _opened(stations)
    goal = np.where(opened >= 0, 1 + opened, _THROUGH)
    ways = came.tolist()
    source, target = steps.source.tolist(), steps.begin.tolist()
    chosen: list[int] = []
    reachable = np.isfinite(best[last, goal])
    for begin, at, state in zip(
        first[reachable].tolist(), last[reachable].tolist(), goal[reachable].tolist(), strict=True
    ):
        path = []
        while at != begin:
            step = ways[at][state]
            path.append(step)
            at, state = target[step], source[step]
        chosen += path[::-1]
    return steps.walls(np.array(chosen, np.int64))


def _opened(stations: Stations) -> Ints:
    """Type of the wall in which each ring begins and ends; -1 for other stretches."""
    first = stations.first[:-1]
    if not first.size:
        return first
    length = np.abs(stations.along[:, first + 1] - stations.along[:, first])
    best = np.argmax(np.where(np.isnan(length), -1.0, length), axis=0)
    return np.where(stations.is_ring & ~stations.kept[first], best, -1)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Walls that are possible, each as a step from one station to another."""

    begin: Ints
    end: Ints
    kind: Ints
    offset: Floats
    cost: Floats
    source: Ints
    """State of the station where it begins."""
    target: Ints

    @classmethod
    def of(cls, stations: Stations) -> _Steps:
        """All of them: a round finds those that are one line longer than those before."""
        last = np.repeat(stations.first[1:] - 1, np.diff(stations.first))
        lines = np.flatnonzero(np.arange(last.size) < last)
        found = [cls._staying(lines)]
        sums = _Sums.of(stations)
        begin = np.tile(lines[~stations.kept[lines]], TYPES)
        kind = np.repeat(np.arange(TYPES), begin.size // TYPES)
        exists = ~np.isnan(stations.off[kind, begin])
        kind, begin = kind[exists], begin[exists]
        low = high = stations.off[kind, begin]
        end = begin
        while begin.size:
            end = end + 1
            off = stations.off[kind, end]
            low, high = np.minimum(low, off), np.maximum(high, off)
            near = high - low <= 2.0
            kind, begin, end, low, high = _chosen(near, kind, begin, end, low, high)
            found += cls._possible(stations, sums, kind, begin, end, low, high)
            on = (end < last[end]) & ~stations.kept[end]
            kind, begin, end, low, high = _chosen(on, kind, begin, end, low, high)
        return cls(*(np.concatenate(each) for each in zip(*found, strict=True)))

    @staticmethod
    def _staying(lines: Ints) -> tuple[NDArray[np.generic], ...]:
        same = np.full(lines.size, _THROUGH)
        cost = np.full(lines.size, _LINE)
        return lines, lines + 1, np.full(lines.size, STAYS), np.zeros(lines.size), cost, same, same

    @staticmethod
    def _possible(
        stations: Stations,
        sums: _Sums,
        kind: Ints,
        begin: Ints,
        end: Ints,
        low: Floats,
        high: Floats,
    ) -> list[tuple[NDArray[np.generic], ...]]:
        """With both ends free, or one of them at its station."""
        weight, mean, square = sums.between(kind, begin, end)
        forth = np.abs(stations.along[kind, end] - stations.along[kind, begin]) > 1e-6
        across = np.where(kind % 2 == 0, kind + 1, kind - 1)
        found = []
        for offset, source, target, cost in (
            (np.clip(mean, high - 1.0, low + 1.0), 1 + across, 1 + kind, _WALL),
            (stations.off[kind, begin], np.full(kind.size, _THROUGH), 1 + kind, _WALL + _PINNED),
            (stations.off[kind, end], 1 + across, np.full(kind.size, _THROUGH), _WALL + _PINNED),
        ):
            fits = forth & (high - offset <= 1.0 + 1e-9) & (offset - low <= 1.0 + 1e-9)
            total = cost + square + weight * (offset - mean) ** 2
            columns = (begin, end, kind, offset, total, source, target)
            found.append(tuple(each[fits] for each in columns))
        return found

    def walls(self, chosen: Ints) -> Walls:
        """Some of them, in this order."""
        return Walls(
            self.begin[chosen],
            self.end[chosen],
            self.kind[chosen],
            self.offset[chosen],
            self.source[chosen] == _THROUGH,
            self.target[chosen] == _THROUGH,
        )


def _chosen(which: NDArray[np.bool_], *columns: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (each[which] for each in columns)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums along the border up to each station: what lines weigh, and where they are."""

    weight: Floats
    """``(TYPES, stations)`` lengths along walls of each type."""
    moment: Floats
    """Of the distance across them."""
    square: Floats

    @classmethod
    def of(cls, stations: Stations) -> _Sums:
        along, off = (np.nan_to_num(each) for each in (stations.along, stations.off))
        length = np.abs(np.diff(along, axis=1))
        one, other = off[:, :-1], off[:, 1:]
        # What cuts a corner off says little of where the wall is.
        length = np.where(np.abs(other - one) > _SLANTED * length, _LITTLE * length, length)
        values = (
            length,
            length * (one + other) / 2,
            length * (one**2 + one * other + other**2) / 3,
        )
        return cls(*(np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0))) for each in values))

    def between(self, kind: Ints, begin: Ints, end: Ints) -> tuple[Floats, Floats, Floats]:
        """Weight, mean distance, and weighed sum of squares about the mean."""
        weight, moment, square = (
            each[kind, end] - each[kind, begin] for each in (self.weight, self.moment, self.square)
        )
        mean = moment / np.where(weight > 0, weight, 1.0)
        return weight, mean, np.maximum(square - mean * moment, 0.0)


def _shortest(stations: Stations, steps: _Steps) -> tuple[Floats, Ints]:
    """The least cost of each state of each station, and the step that leads there."""
    count = int(stations.first[-1])
    best = np.full((count, 1 + TYPES), np.inf)
    came = np.full((count, 1 + TYPES), -1)
    opened = _opened(stations)
    across = np.where(opened % 2 == 0, opened + 1, opened - 1)
    begins = np.where(opened >= 0, 1 + across, _THROUGH)
    best[stations.first[:-1], begins] = 0.0
    place = np.arange(count) - np.repeat(stations.first[:-1], np.diff(stations.first))
    order = np.argsort(place[steps.end], kind="stable")
    stops = np.searchsorted(
        place[steps.end], np.arange(int(place.max(initial=0)) + 2), sorter=order
    )
    for start, stop in zip(stops[1:-1].tolist(), stops[2:].tolist(), strict=True):
        due = order[start:stop]
        value = best[steps.begin[due], steps.source[due]] + steps.cost[due]
        worst_first = np.argsort(value, kind="stable")[::-1]
        # Of several, the last one written stays: the best.
        due, value = due[worst_first], value[worst_first]
        best[steps.end[due], steps.target[due]] = value
        came[steps.end[due], steps.target[due]] = due
    return best, came
