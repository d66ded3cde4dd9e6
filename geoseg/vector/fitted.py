"""Walls of stretches with their ends, as far as each stretch by itself allows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.space import Space
from geoseg.vector.stretches import Stretches
from geoseg.vector.walls import BAND, STAYS, Stations, find_walls

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_STRAIGHT = -2
_SLACK = 0.05
"""Bands; corners are rounded to units of the arcs."""
_CLOSE = 2.0
"""Units of the arcs; nearer to one another, points may be one."""
_STATIONS = 20_000
"""Whose walls are looked for at a time, unless a stretch has more."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The walls of some stretches, sorted by where they begin: a ring's last leads to its first."""

    stretch: Ints
    """Of each wall."""
    begin: Ints
    """Station at which each begins."""
    end: Ints
    kind: Ints
    """As `Walls` has them; -2: straight from station to station."""
    offset: Floats
    starts_through: NDArray[np.bool_]
    ends_through: NDArray[np.bool_]
    row: Ints
    """Where each begins, in the units of the arcs."""
    col: Ints
    end_row: Ints
    end_col: Ints

    @property
    def moved(self) -> NDArray[np.bool_]:
        """Which are not a line as it was."""
        moved: NDArray[np.bool_] = self.kind != STAYS
        return moved

    def chosen(self, which: NDArray[np.generic]) -> Fitted:
        """Some of the walls."""
        return Fitted(*(getattr(self, each.name)[which] for each in fields(self)))

    @classmethod
    def together(cls, several: Sequence[Fitted]) -> Fitted:
        """All walls of several."""
        columns = (
            np.concatenate([getattr(each, column.name) for each in several])
            for column in fields(cls)
        )
        joined = cls(*columns)
        return joined.chosen(np.argsort(joined.begin, kind="stable"))


def fit(stretches: Stretches, space: Space, kept: NDArray[np.bool_], which: Ints) -> Fitted:
    """The walls of some stretches, each of them within the tolerance.

    Args:
        stretches: all of a cell.
        space: in which they lie.
        kept: of the line that begins at each station, whether it stays as it is. Lines that turn
            out to have to are added.
        which: of the stretches.
    """
    found = [_fit_once(stretches, space, kept, which[:0])]
    for left in _in_turn(stretches, which):
        while left.size:
            fitted = _fit_once(stretches, space, kept, left)
            wrong = _wrong(stretches, space, fitted)
            keep(stretches, fitted.chosen(wrong), kept)
            count = np.bincount(fitted.stretch, minlength=stretches.region.size)[left]
            # A ring has an area.
            none = left[count < np.where(stretches.is_ring[left], 3, 1)]
            for stretch in none.tolist():
                kept[stretches.first[stretch] : stretches.first[stretch + 1]] = True
            left = np.union1d(fitted.stretch[wrong], none)
            found.append(fitted.chosen(~np.isin(fitted.stretch, left)))
    return Fitted.together(found)


def keep(stretches: Stretches, walls: Fitted, kept: NDArray[np.bool_]) -> None:
    """Let all lines that walls stand for stay as they are."""
    owner, station = stations_of(stretches, walls)
    # The last station of each wall begins none of its lines.
    kept[station[np.flatnonzero(owner[1:] == owner[:-1])]] = True


def stations_of(stretches: Stretches, walls: Fitted) -> tuple[Ints, Ints]:
    """The wall and the number of each station that walls stand for, both ends included."""
    first = stretches.first[walls.stretch]
    size = stretches.first[walls.stretch + 1] - first
    counts = (walls.end - walls.begin) % size + 1
    owner = np.repeat(np.arange(counts.size), counts)
    step = np.arange(owner.size) - (np.cumsum(counts) - counts)[owner]
    return owner, first[owner] + (walls.begin[owner] - first[owner] + step) % size[owner]


def _in_turn(stretches: Stretches, which: Ints) -> Iterator[Ints]:
    sizes = np.diff(stretches.first)[which]
    turn = (np.cumsum(sizes) - sizes) // _STATIONS
    for each in np.unique(turn):
        yield which[turn == each]


def _fit_once(stretches: Stretches, space: Space, kept: NDArray[np.bool_], which: Ints) -> Fitted:
    """The cheapest walls of some stretches; none where there is no way."""
    sizes = np.diff(stretches.first)[which]
    first = np.concatenate([[0], np.cumsum(sizes)])
    stretch = np.repeat(which, sizes)
    station = np.arange(stretch.size) + np.repeat(stretches.first[which] - first[:-1], sizes)
    along, off = space.turned(stretch, station)
    walls = find_walls(Stations(along, off, first, stretches.is_ring[which], kept[station]))
    fitted = Fitted(
        stretch[walls.begin], station[walls.begin], station[walls.end], walls.kind, walls.offset,
        walls.starts_through, walls.ends_through, *np.zeros((4, walls.kind.size), np.int64),
    )  # fmt: skip
    return _placed(stretches, space, _closed(stretches, kept, fitted))


def _closed(stretches: Stretches, kept: NDArray[np.bool_], walls: Fitted) -> Fitted:
    """The walls with the first and the last of each ring as one."""
    heads = np.flatnonzero(np.diff(walls.stretch, prepend=-1))
    tails = np.append(heads[1:], walls.stretch.size) - 1
    rings = stretches.is_ring[walls.stretch[heads]]
    one, other = heads[rings], tails[rings]
    # Both stand for halves of the ring's longest line and for what else is on its line.
    size = [(walls.end - walls.begin)[each] for each in (one, other)]
    offset = (walls.offset[one] * size[0] + walls.offset[other] * size[1]) / (size[0] + size[1])
    offset = np.where(walls.ends_through[one], walls.offset[one], offset)
    offset = np.where(walls.starts_through[other], walls.offset[other], offset)
    straight = walls.ends_through[one] & walls.starts_through[other]
    stays = kept[stretches.first[walls.stretch[one]]]
    kind = np.where(straight, np.where(stays, STAYS, _STRAIGHT), walls.kind[other])
    joined = {
        name: getattr(walls, name).copy() for name in ("end", "kind", "offset", "ends_through")
    }
    joined["end"][other], joined["ends_through"][other] = walls.end[one], walls.ends_through[one]
    joined["kind"][other], joined["offset"][other] = kind, offset
    whole = np.ones(walls.kind.size, np.bool_)
    whole[one] = False
    return replace(walls, **joined).chosen(whole)


def _placed(stretches: Stretches, space: Space, walls: Fitted) -> Fitted:
    """The walls with where they begin and end: at stations, or where they meet at right angles."""
    heads = np.diff(walls.stretch, prepend=-1) != 0
    tails = np.diff(walls.stretch, append=-1) != 0
    before, after = np.arange(walls.kind.size) - 1, np.arange(walls.kind.size) + 1
    before[heads], after[tails] = np.flatnonzero(tails), np.flatnonzero(heads)
    # In bands, from the first station of the stretch on.
    along, across = walls.offset[before], walls.offset
    along, across = np.where(walls.kind % 2 == 0, (along, across), (across, along))
    angle = space.angle[walls.stretch, np.maximum(walls.kind, 0) // 2]
    x = along * np.cos(angle) - across * np.sin(angle)
    y = along * np.sin(angle) + across * np.cos(angle)
    origin = stretches.first[walls.stretch]
    places = []
    for moved, unit, own in (
        (y, space.unit[1], stretches.row),
        (x, space.unit[0], stretches.col),
    ):
        corner = np.nan_to_num(moved) / unit + own[origin]
        begin = np.rint(np.where(walls.starts_through, own[walls.begin], corner)).astype(np.int64)
        end = np.where(walls.ends_through, own[walls.end].astype(np.int64), begin[after])
        places += [begin, end]
    return replace(walls, row=places[0], end_row=places[1], col=places[2], end_col=places[3])


def _wrong(stretches: Stretches, space: Space, walls: Fitted) -> NDArray[np.bool_]:
    """Which leave the tolerance or the cell, run back, or have points in another order."""
    owner, station = stations_of(stretches, walls)
    first, unit = stretches.first[walls.stretch], space.unit
    ends = [
        ((row - stretches.row[first]) * unit[1], (col - stretches.col[first]) * unit[0])
        for row, col in ((walls.row, walls.col), (walls.end_row, walls.end_col))
    ]
    down, right = (other - one for one, other in zip(*ends, strict=True))
    length = np.hypot(down, right)
    safe = np.where(length > 0, length, 1.0)
    y, x = space.y[station] - ends[0][0][owner], space.x[station] - ends[0][1][owner]
    forth = (x * right[owner] + y * down[owner]) / safe[owner]
    beside = (y * right[owner] - x * down[owner]) / safe[owner]
    beyond = np.maximum(np.maximum(-forth, forth - length[owner]), 0.0)
    far = (np.hypot(beside, beyond) * BAND > 1.0) | (np.abs(beside) > 1.0 + _SLACK)
    wrong = np.bincount(owner, far, minlength=length.size) > 0
    back = (space.x[walls.end] - space.x[walls.begin]) * right
    back += (space.y[walls.end] - space.y[walls.begin]) * down
    wrong |= back <= 0
    height, width = space.shape
    for through, row, col in (
        (walls.starts_through, walls.row, walls.col),
        (walls.ends_through, walls.end_row, walls.end_col),
    ):
        inside = (row > 0) & (row < height) & (col > 0) & (col < width)
        wrong |= ~through & ~inside
    # Points that slide must lie between the wall's ends, in their order.
    inner = (station != walls.begin[owner]) & (station != walls.end[owner])
    at = np.flatnonzero((stretches.node[station] >= 0) & inner)
    outside = (forth[at] <= _CLOSE * unit[0]) | (forth[at] >= length[owner[at]] - _CLOSE * unit[0])
    wrong[owner[at[outside]]] = True
    unordered = (owner[at[1:]] == owner[at[:-1]]) & (
        forth[at[1:]] - forth[at[:-1]] <= _CLOSE * unit[0]
    )
    wrong[owner[at[1:][unordered]]] = True
    return wrong & walls.moved
