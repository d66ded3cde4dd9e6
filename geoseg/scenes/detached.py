"""Blocks of houses in gardens."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geoseg.scenes import houses, palette
from geoseg.scenes.plants import garden_tree, hedge
from geoseg.scenes.plot import LOT, PATH, YARD, Frontage, Plot
from geoseg.scenes.things import Box
from geoseg.scenes.vehicles import car_at


@dataclass(frozen=True, slots=True)
class _Lot:
    """One property: a strip of a block, from the street to the back fence."""

    side: Frontage
    middle: float
    """Where along the street it lies, metres."""
    width: float
    depth: float

    def box(self, off: float, depth: float, length: float, width: float) -> Box:
        """A box parallel to the street, `off` metres from the middle and `depth` behind the front fence."""
        return self.side.box(self.middle + off, depth, length, width)


def build_detached(plot: Plot) -> None:
    """Houses in gardens along every street."""
    rng = plot.rng
    plot.cover(palette.lawn(rng, plot.town))
    turned, fenced = rng.random() < 0.3, rng.random() < 0.5
    depth = min(34.0, plot.depth / 2 - 1)
    for turn, side in enumerate(plot.sides):
        if not side.street:
            continue
        inset = (plot.sides[turn - 1].reach + 0.5, plot.sides[(turn + 1) % 4].reach + 0.5)
        if turn % 2:
            inset = (inset[0] + depth, inset[1] + depth)
        along = inset[0]
        while (width := rng.uniform(15, 21)) < side.length - inset[1] - along + 4:
            _settle(plot, _Lot(side, along + width / 2, width, depth), turned=turned, fenced=fenced)
            along += width
    plot.scatter_trees(26, largest=5.8)


def _settle(plot: Plot, lot: _Lot, *, turned: bool, fenced: bool) -> None:
    """One property: lawn, house, drive with garage and car, terrace, hedge, trees."""
    rng = plot.rng
    ground = lot.box(0.0, lot.depth / 2, lot.width, lot.depth)
    if plot.holds(ground, -1.0):
        plot.lay(LOT, ground, palette.lawn(rng, plot.town))
    length, across = rng.uniform(9, min(14, lot.width - 4.5)), rng.uniform(8, 11.5)
    setback = rng.uniform(3, 7)
    shift = 0.7 * rng.choice([-1, 1]) * (lot.width - length - 3) / 2
    house = lot.box(shift, setback + across / 2, length, across)
    if not plot.build(house, 1.5):
        return
    _raise_house(plot, house, turned=turned)
    stone = palette.paving(rng) if rng.random() < 0.6 else palette.asphalt(rng, plot.town, 0.12)
    drive, reach = (
        -math.copysign(lot.width / 2 - 2.0, shift),
        setback + across * rng.uniform(0.3, 0.9),
    )
    plot.lay(PATH, lot.box(drive, reach / 2 - 0.2, rng.uniform(2.8, 4.0), reach + 0.4), stone)
    plot.lay(PATH, lot.box(shift, setback / 2, 1.3, setback), stone)
    if rng.random() < 0.75:
        terrace = lot.box(shift, setback + across + 1.8, rng.uniform(4, 8), rng.uniform(3.4, 4.6))
        plot.lay(PATH, terrace, palette.paving(rng))
    _use_drive(plot, lot, drive, reach)
    _use_garden(plot, lot, fenced=fenced)


def _raise_house(plot: Plot, house: Box, *, turned: bool) -> None:
    rng, town = plot.rng, plot.town
    eaves = rng.uniform(3.0, 6.5)
    style = rng.random()
    if style < 0.14:
        plot.content.roofs += houses.flat(rng, town, house, eaves + 1)
    elif style < 0.38:
        plot.content.roofs += houses.angled(rng, town, house, eaves)
    else:
        plot.content.roofs += houses.pitched(rng, town, house.turned() if turned else house, eaves)


def _use_drive(plot: Plot, lot: _Lot, drive: float, reach: float) -> None:
    """Perhaps a garage at the end of the drive, perhaps a car on it."""
    rng, town = plot.rng, plot.town
    garage = lot.box(drive, reach + 3.0, 3.2, 6.0)
    if rng.random() < 0.5 and plot.build(garage, 0.2, 0.1):
        plot.content.roofs += houses.shed(rng, town, garage)
    if rng.random() < 0.5 * town.traffic:
        place, heading = (
            rng.uniform(2.8, max(3.0, reach - 2.6)),
            math.copysign(math.pi / 2, rng.normal()),
        )
        plot.content.cars.append(car_at(rng, lot.box(drive, 0.0, 1.0, 1.0), 0.0, place, heading))


def _use_garden(plot: Plot, lot: _Lot, *, fenced: bool) -> None:
    """Perhaps a shed, a vegetable bed and a hedge; trees."""
    rng, town = plot.rng, plot.town
    hut = lot.box(
        rng.uniform(-0.3, 0.3) * lot.width, lot.depth - 2.5, rng.uniform(2, 3.6), rng.uniform(2, 3)
    )
    if rng.random() < 0.4 and plot.build(hut, 0.5):
        plot.content.roofs += houses.shed(rng, town, hut)
    if rng.random() < 0.3:
        off = rng.uniform(-0.2, 0.2) * lot.width
        plot.lay(
            YARD,
            lot.box(off, lot.depth * 0.75, rng.uniform(3, 7), rng.uniform(2, 4)),
            palette.crop(rng, town),
        )
    if fenced and rng.random() < 0.6:
        row = lot.box(lot.width / 2, lot.depth * 0.62, 1.0, lot.depth * 0.7).turned()
        if plot.holds(row, 0.3) and plot.clear(row, -0.2):
            plot.content.trees += hedge(rng, town, row)
    for _ in range(int(rng.poisson(3.2 * town.leafiness))):
        place = lot.side.point(
            lot.middle + rng.uniform(-0.45, 0.45) * lot.width, rng.uniform(1.5, lot.depth)
        )
        tree = garden_tree(rng, town, place, 5.0)
        if plot.holds(tree.trunk, 0.8) and plot.clear(tree.trunk, 0.55 * tree.radius):
            plot.content.trees.append(tree)
