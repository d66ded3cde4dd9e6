"""Blocks of houses that stand wall to wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.scenes import houses, palette
from geoseg.scenes.parking import lay_bays
from geoseg.scenes.plot import LOT, PATH, Frontage, Plot
from geoseg.scenes.things import Box, Colour, Roof


@dataclass(frozen=True, slots=True)
class _Row:
    """What the units of one row have in common, metres."""

    side: Frontage
    unit: float
    across: float
    setback: float
    eaves: float
    colour: Colour | None
    """The roofing; None where the row has flat roofs."""


def build_terraced(plot: Plot) -> None:
    """Rows of narrow houses with front and back gardens."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town))
    colour = palette.roof_colour(rng, town, flat=False)[1]
    for turn in (0, 2):
        side = plot.sides[turn]
        if not side.street:
            continue
        row = _Row(
            side,
            unit=rng.uniform(5.6, 7.4),
            across=rng.uniform(9, 11.5),
            setback=rng.uniform(3.5, 7),
            eaves=rng.uniform(4.5, 6.5),
            colour=None if rng.random() < 0.25 else colour,
        )
        along = plot.sides[turn - 1].reach + 3
        while along + row.unit < side.length - plot.sides[(turn + 1) % 4].reach - 3:
            _terraced_house(plot, row, along + row.unit / 2)
            along += row.unit + (rng.uniform(4, 9) if rng.random() < 0.12 else 0.0)
    plot.scatter_trees(30, largest=5.0)


def _terraced_house(plot: Plot, row: _Row, middle: float) -> None:
    """One unit of a row with its strip of garden, front path or parking place, and terrace."""
    rng, town = plot.rng, plot.town
    house = row.side.box(middle, row.setback + row.across / 2, row.unit + 0.1, row.across)
    depth = min(row.setback + row.across + 16, plot.depth / 2)
    plot.lay(LOT, row.side.box(middle, depth / 2, row.unit, depth), palette.lawn(rng, town))
    if not plot.build(house, 0.5, -0.4):
        return
    eaves = row.eaves + rng.normal(0, 0.25)
    if row.colour is None:
        plot.content.roofs += houses.flat(rng, town, house, eaves + 1.5)
    else:
        own = palette.roof_colour(rng, town, flat=False)[1]
        tint = palette.varied(rng, row.colour, 0.08) if rng.random() < 0.75 else own
        plot.content.roofs.append(_row_roof(rng, house, eaves, tint))
    front = row.side.box(
        middle, row.setback / 2, 1.4 if rng.random() < 0.5 else row.unit * 0.8, row.setback + 0.4
    )
    plot.lay(PATH, front, palette.paving(rng))
    back = row.side.box(middle, row.setback + row.across + 1.6, row.unit - 0.6, 3.2)
    plot.lay(PATH, back, palette.paving(rng))


def build_perimeter(plot: Plot) -> None:
    """Tall houses shoulder to shoulder along the streets, around a yard."""
    rng, town = plot.rng, plot.town
    plot.cover(
        palette.paving(rng, brick=0.04) if rng.random() < 0.5 else palette.asphalt(rng, town, 0.15)
    )
    across = rng.uniform(11, 13.5)
    for turn, side in enumerate(plot.sides):
        if not side.street:
            continue
        inset = across + 0.4 if turn % 2 else 0.2
        along = plot.sides[turn - 1].reach + inset
        last = side.length - plot.sides[(turn + 1) % 4].reach - inset
        while last - along > 8:
            width = min(rng.uniform(11, 21), last - along)
            house = side.box(along + width / 2, across / 2 + 0.1, width, across)
            if rng.random() > 0.1 and plot.build(house, -0.6, -0.9):
                _town_house(plot, house)
            along += width
    _fill_yard(plot, across)


def _town_house(plot: Plot, house: Box) -> None:
    rng, town = plot.rng, plot.town
    if rng.random() < 0.3:
        plot.content.roofs += houses.flat(rng, town, house, rng.uniform(9, 13))
    else:
        colour = palette.roof_colour(rng, town, flat=False)[1]
        plot.content.roofs.append(_row_roof(rng, house, rng.uniform(7, 10), colour))


def _fill_yard(plot: Plot, across: float) -> None:
    """Low buildings, patches of lawn, parking and trees behind houses that are `across` metres deep."""
    rng, town = plot.rng, plot.town
    along = plot.sides[0].along
    for _ in range(int(rng.integers(1, 5))):
        wing = Box(
            *plot.inside(*rng.uniform(0.3, 0.7, 2)), *along, rng.uniform(7, 18), rng.uniform(5, 9)
        )
        if plot.build(wing, across, 2.0):
            plot.content.roofs += houses.flat(rng, town, wing, rng.uniform(3, 7))
    for _ in range(int(rng.integers(1, 5))):
        green = Box(
            *plot.inside(*rng.uniform(0.28, 0.72, 2)),
            *along,
            rng.uniform(8, 26),
            rng.uniform(6, 14),
        )
        plot.lay(LOT, green, palette.lawn(rng, town))
    lay_bays(plot, plot.sides[0], across + 6.5, 1)
    plot.scatter_trees(18, largest=5.4)


def _row_roof(rng: np.random.Generator, house: Box, eaves: float, colour: Colour) -> Roof:
    """One unit of a row: the ridge runs along the row whatever the unit's proportions."""
    return Roof(
        house,
        "gabled",
        eaves,
        0.7,
        colour,
        0.45,
        rng.uniform(0.03, 0.12),
        int(rng.integers(1 << 30)),
    )
