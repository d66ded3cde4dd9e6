"""The kinds of blocks that a town is made of."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from geoseg.scenes import houses, palette
from geoseg.scenes.chance import stream
from geoseg.scenes.plants import garden_tree, hedge
from geoseg.scenes.plot import LINE, LOT, PATH, YARD, Frontage, Plot
from geoseg.scenes.things import Box, Colour, Content, Roof
from geoseg.scenes.town import KINDS, Town
from geoseg.scenes.vehicles import car_at


@lru_cache(maxsize=1024)
def block_content(town: Town, i: int, j: int) -> Content:
    """What stands on block (i, j)."""
    rng = stream(town.seed, 7, i, j)
    kind = KINDS[int(rng.choice(len(KINDS), p=town.mix))]
    plot = Plot(town, i, j, rng)
    _BUILDERS[kind](plot)
    return plot.content


def _detached(plot: Plot) -> None:
    """Houses in gardens along every street."""
    rng = plot.rng
    plot.cover(palette.lawn(rng, plot.town))
    habit = {"turned": rng.random() < 0.3, "fenced": rng.random() < 0.5}
    depth = min(34.0, plot.depth / 2 - 1)
    for turn, side in enumerate(plot.sides):
        if not side.street:
            continue
        inset = (plot.sides[turn - 1].reach + 0.5, plot.sides[(turn + 1) % 4].reach + 0.5)
        if turn % 2:
            inset = (inset[0] + depth, inset[1] + depth)
        along = inset[0]
        while (width := rng.uniform(15, 21)) < side.length - inset[1] - along + 4:
            _garden_lot(plot, side, along + width / 2, width, depth, **habit)
            along += width
    plot.scatter_trees(26, largest=5.8)


def _garden_lot(
    plot: Plot, side: Frontage, middle: float, width: float, depth: float, *, turned: bool, fenced: bool
) -> None:
    """One property: lawn, house, drive with garage and car, terrace, hedges, trees."""
    rng, town = plot.rng, plot.town
    lot = side.box(middle, depth / 2, width, depth)
    if plot.holds(lot, -1.0):
        plot.lay(LOT, lot, palette.lawn(rng, town))
    length, across = rng.uniform(9, min(14, width - 4.5)), rng.uniform(8, 11.5)
    setback = rng.uniform(3, 7)
    shift = rng.choice([-1, 1]) * (width - length - 3) / 2
    house = side.box(middle + shift * 0.7, setback + across / 2, length, across)
    if not plot.build(house, 1.5):
        return
    eaves = rng.uniform(3.0, 6.5)
    style = rng.random()
    if style < 0.14:
        plot.content.roofs += houses.flat(rng, town, house, eaves + 1)
    elif style < 0.38:
        plot.content.roofs += houses.angled(rng, town, house, eaves)
    else:
        ridge = Box(house.x, house.y, -house.sin, house.cos, across, length) if turned else house
        plot.content.roofs += houses.pitched(rng, town, ridge, eaves)
    stone = palette.paving(rng) if rng.random() < 0.6 else palette.asphalt(rng, town, 0.12)
    drive_at = middle - math.copysign(width / 2 - 2.0, shift)
    reach = setback + across * rng.uniform(0.3, 0.9)
    plot.lay(PATH, side.box(drive_at, reach / 2 - 0.2, rng.uniform(2.8, 4.0), reach + 0.4), stone)
    plot.lay(PATH, side.box(house_front(house, side), setback / 2, 1.3, setback), stone)
    if rng.random() < 0.75:
        terrace = side.box(middle + shift * 0.7, setback + across + 1.8, rng.uniform(4, 8), rng.uniform(3.4, 4.6))
        plot.lay(PATH, terrace, palette.paving(rng))
    garage = side.box(drive_at, reach + 3.0, 3.2, 6.0)
    if rng.random() < 0.5 and plot.build(garage, 0.2, 0.1):
        plot.content.roofs += houses.shed(rng, town, garage)
    if rng.random() < 0.5 * town.traffic:
        frame = side.box(drive_at, 0.0, 1.0, 1.0)
        plot.content.cars.append(
            car_at(rng, frame, 0.0, rng.uniform(2.8, max(3.0, reach - 2.6)), math.copysign(math.pi / 2, rng.normal()))
        )
    hut = side.box(middle + rng.uniform(-0.3, 0.3) * width, depth - 2.5, rng.uniform(2, 3.6), rng.uniform(2, 3))
    if rng.random() < 0.4 and plot.build(hut, 0.5):
        plot.content.roofs += houses.shed(rng, town, hut)
    if rng.random() < 0.3:
        bed = side.box(middle + rng.uniform(-0.2, 0.2) * width, depth * 0.75, rng.uniform(3, 7), rng.uniform(2, 4))
        plot.lay(YARD, bed, palette.crop(rng, town))
    if fenced and rng.random() < 0.6:
        fence = side.box(middle + width / 2, depth * 0.62, 1.0, 1.0)
        row = Box(fence.x, fence.y, -fence.sin, fence.cos, depth * 0.7, 1.0)
        if plot.holds(row, 0.3) and plot.clear(row, -0.2):
            plot.content.trees += hedge(rng, town, row)
    _garden_trees(plot, side, middle, width, depth)


def house_front(house: Box, side: Frontage) -> float:
    """Where along its street a house has its door: its middle."""
    dx, dy = house.x - side.corner[0], house.y - side.corner[1]
    return dx * side.along[0] + dy * side.along[1]


def _garden_trees(plot: Plot, side: Frontage, middle: float, width: float, depth: float) -> None:
    for _ in range(int(plot.rng.poisson(3.2 * plot.town.leafiness))):
        place = side.point(middle + plot.rng.uniform(-0.45, 0.45) * width, plot.rng.uniform(1.5, depth))
        tree = garden_tree(plot.rng, plot.town, place, 5.0)
        trunk = Box(tree.x, tree.y, 1.0, 0.0, 1.0, 1.0)
        if plot.holds(trunk, 0.8) and plot.clear(trunk, 0.55 * tree.radius):
            plot.content.trees.append(tree)


def _terraced(plot: Plot) -> None:
    """Rows of narrow houses with front and back gardens."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town))
    colour = palette.roof_colour(rng, town, flat=False)[1]
    for turn in (0, 2):
        side = plot.sides[turn]
        if not side.street:
            continue
        unit, across, setback = rng.uniform(5.6, 7.4), rng.uniform(9, 11.5), rng.uniform(3.5, 7)
        flat_roofed = rng.random() < 0.25
        along = plot.sides[turn - 1].reach + 3
        last = side.length - plot.sides[(turn + 1) % 4].reach - 3
        slope_eaves = rng.uniform(4.5, 6.5)
        count = 0
        while along + unit < last:
            if count and rng.random() < 0.12:
                along += rng.uniform(4, 9)
            count += 1
            house = side.box(along + unit / 2, setback + across / 2, unit + 0.1, across)
            depth = min(setback + across + 16, plot.depth / 2)
            plot.lay(LOT, side.box(along + unit / 2, depth / 2, unit, depth), palette.lawn(rng, town))
            if plot.build(house, 0.5, -0.4):
                tint = palette.varied(rng, colour, 0.08) if rng.random() < 0.75 else None
                eaves = slope_eaves + rng.normal(0, 0.25)
                if flat_roofed:
                    plot.content.roofs += houses.flat(rng, town, house, eaves + 1.5)
                else:
                    plot.content.roofs += _row_house(rng, town, house, eaves, tint)
                door = side.box(along + unit / 2, setback / 2, 1.4 if rng.random() < 0.5 else unit * 0.8, setback + 0.4)
                plot.lay(PATH, door, palette.paving(rng))
                back = side.box(along + unit / 2, setback + across + 1.6, unit - 0.6, 3.2)
                plot.lay(PATH, back, palette.paving(rng))
            along += unit
    plot.scatter_trees(30, largest=5.0)


def _row_house(rng: np.random.Generator, town: Town, house: Box, eaves: float, tint: Colour | None) -> list[Roof]:
    """One unit of a row: the ridge runs along the row whatever the unit's proportions."""
    colour = tint or palette.roof_colour(rng, town, flat=False)[1]
    key = int(rng.integers(1 << 30))
    return [Roof(house, "gabled", eaves, 0.7, colour, 0.36, rng.uniform(0.03, 0.12), key)]


def _perimeter(plot: Plot) -> None:
    """Tall houses shoulder to shoulder along the streets, around a yard."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.paving(rng, brick=0.04) if rng.random() < 0.5 else palette.asphalt(rng, town, 0.15))
    across = rng.uniform(11, 13.5)
    for turn, side in enumerate(plot.sides):
        if not side.street:
            continue
        along = plot.sides[turn - 1].reach + (across + 0.4 if turn % 2 else 0.2)
        last = side.length - plot.sides[(turn + 1) % 4].reach - (across + 0.4 if turn % 2 else 0.2)
        while last - along > 8:
            width = min(rng.uniform(11, 21), last - along)
            if rng.random() > 0.1:
                house = side.box(along + width / 2, across / 2 + 0.1, width, across)
                if plot.build(house, -0.6, -0.9):
                    if rng.random() < 0.3:
                        plot.content.roofs += houses.flat(rng, town, house, rng.uniform(9, 13))
                    else:
                        colour = palette.roof_colour(rng, town, flat=False)[1]
                        plot.content.roofs += _row_house(rng, town, house, rng.uniform(7, 10), colour)
            along += width
    for _ in range(int(rng.integers(1, 5))):
        u, v = rng.uniform(0.3, 0.7, 2)
        x, y = plot.inside(u, v)
        wing = Box(x, y, *plot.sides[0].along, rng.uniform(7, 18), rng.uniform(5, 9))
        if plot.build(wing, across, 2.0):
            plot.content.roofs += houses.flat(rng, town, wing, rng.uniform(3, 7))
    for _ in range(int(rng.integers(1, 5))):
        x, y = plot.inside(*rng.uniform(0.28, 0.72, 2))
        plot.lay(LOT, Box(x, y, *plot.sides[0].along, rng.uniform(8, 26), rng.uniform(6, 14)), palette.lawn(rng, town))
    _stalls(plot, plot.sides[0], across + 6.5, 1)
    plot.scatter_trees(18, largest=5.4)


def _slabs(plot: Plot) -> None:
    """Long apartment houses on a shared lawn, with parking by the street."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town))
    front = plot.sides[0]
    upright = rng.random() < 0.5
    height = rng.uniform(9, 14)
    along = front.length * 0.16
    while along < front.length * 0.9:
        length, across = rng.uniform(26, 44), rng.uniform(10.5, 13)
        if upright:
            slab = front.box(along, plot.depth / 2 + 4, across, min(length, plot.depth - 16))
            along += across + rng.uniform(12, 20)
        else:
            slab = front.box(along + length / 2, plot.depth * rng.choice([0.4, 0.75]), length, across)
            along += length * rng.uniform(0.5, 1.1)
        if plot.build(slab, 3.0, 5.0):
            long = (
                slab if slab.length > slab.width else Box(slab.x, slab.y, -slab.sin, slab.cos, slab.width, slab.length)
            )
            flat_roofed = rng.random() < 0.75
            make = houses.flat if flat_roofed else houses.pitched
            plot.content.roofs += make(rng, town, long, height)
            plot.lay(PATH, long.part(0, long.width / 2 + 2.2, long.length, 1.8), palette.paving(rng))
    _stalls(plot, front, 6.5, 1)
    ground = Box(*plot.inside(rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.7)), *front.along, 11, 8)
    if plot.build(ground, 4, 3):
        plot.lay(YARD, ground, palette.court(rng) if rng.random() < 0.5 else palette.crop(rng, town))
    plot.scatter_trees(34, largest=6.4)


def _commerce(plot: Plot) -> None:
    """Halls among parking lots."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.asphalt(rng, town, 0.14))
    front = plot.sides[int(rng.choice([0, 2]))]
    for _ in range(int(rng.integers(6, 16))):
        length, across = rng.uniform(18, 48), rng.uniform(13, 28)
        back = plot.depth - across / 2 - rng.uniform(2, 16)
        hall = front.box(rng.uniform(0.2, 0.8) * front.length, back, length, across)
        if plot.build(hall, 2.0, 6.0):
            plot.content.roofs += houses.flat(rng, town, hall, rng.uniform(5, 10))
    for row in range(max(1, int((plot.depth - 28) / 17))):
        _stalls(plot, front, 6.0 + 18 * row, 2 if row else 1)
    for side in plot.sides:
        if rng.random() < 0.6:
            strip = side.box(side.length / 2, 1.5, side.length - 24, 3.0)
            plot.lay(YARD, strip, palette.lawn(rng, town))
            for along in np.arange(16, side.length - 15, rng.uniform(7, 13)):
                place = side.point(float(along), 1.5)
                plot.content.trees.append(garden_tree(rng, town, place, 4.0))


def _stalls(plot: Plot, front: Frontage, depth: float, rows: int) -> None:
    """Parking bays side by side in one row or two facing ones, where nothing is built, with an aisle before them."""
    rng = plot.rng
    bay = 2.55
    busy = rng.uniform(0.2, 0.8) * plot.town.traffic
    lines = palette.marking(rng)
    tarmac = palette.asphalt(rng, plot.town, 0.12)
    for row in range(rows):
        middle = depth + 5.1 * row
        for along in np.arange(16.0, front.length - 16.0, bay):
            stall = front.box(float(along), middle, bay, 5.0)
            if not (plot.holds(stall, 0.2) and plot.clear(stall, 0.3)):
                continue
            aisle = front.box(
                float(along), middle + (8.0 if row == rows - 1 else 0.0) / 2, bay + 0.1, 5.0 + 8.0 * (row == rows - 1)
            )
            plot.lay(YARD, aisle, tarmac)
            plot.lay(LINE, stall.part(-bay / 2, 0, 0.16, 4.8), lines)
            if rng.random() < busy:
                heading = math.pi / 2 if rng.random() < 0.7 else -math.pi / 2
                plot.content.cars.append(car_at(rng, stall, 0.0, rng.normal(0, 0.15), heading))
    plot.claim(front.box(front.length / 2, depth + 2.55 * (rows - 1), front.length - 34, 5.1 * rows))


def _park(plot: Plot) -> None:
    """Meadow, groves, paths and a court or playground."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town, rough=rng.random() < 0.5))
    gravel = palette.paving(rng)
    for _ in range(int(rng.integers(1, 4))):
        one, other = rng.uniform(0.1, 0.9, 2)
        level = rng.random() < 0.5
        start = plot.inside(0.0, one) if level else plot.inside(one, 0.0)
        end = plot.inside(1.0, other) if level else plot.inside(other, 1.0)
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        path = Box.at(
            ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), angle, math.dist(start, end), rng.uniform(1.8, 3)
        )
        plot.lay(PATH, path, gravel)
    for _ in range(int(rng.integers(0, 3))):
        place = Box(
            *plot.inside(*rng.uniform(0.3, 0.7, 2)), *plot.sides[0].along, rng.uniform(14, 28), rng.uniform(10, 16)
        )
        if plot.build(place, 3, 1):
            surface = palette.court(rng)
            plot.lay(LINE, place, surface)
            lines = palette.marking(rng)
            plot.lay(LINE, place.part(0, 0, 0.2, place.width - 1), lines)
            for v in (-1, 1):
                plot.lay(LINE, place.part(0, v * (place.width / 2 - 0.7), place.length - 1, 0.2), lines)
    if rng.random() < 0.5:
        kiosk = Box(
            *plot.inside(*rng.uniform(0.3, 0.7, 2)), *plot.sides[0].along, rng.uniform(6, 14), rng.uniform(5, 9)
        )
        if plot.build(kiosk, 4):
            plot.content.roofs += houses.pitched(rng, town, kiosk, 3.0)
    for _ in range(int(rng.integers(1, 5))):
        u, v = rng.uniform(0.12, 0.88, 2)
        for _ in range(int(rng.poisson(13))):
            x, y = plot.inside(u + rng.normal(0, 0.05), v + rng.normal(0, 0.07))
            if plot.holds(Box(x, y, 1.0, 0.0, 1, 1), 1.5) and plot.clear(Box(x, y, 1.0, 0.0, 1, 1), 2.0):
                plot.content.trees.append(garden_tree(rng, town, (x, y), 6.2))
    plot.scatter_trees(30, largest=6.6)


def _field(plot: Plot) -> None:
    """Meadow or farmland in strips, a barn, single trees."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town, rough=True))
    front = plot.sides[0]
    depth = 0.0
    while depth < plot.depth and rng.random() < 0.85:
        width = min(rng.uniform(12, 40), plot.depth - depth + 1)
        surface = palette.crop(rng, town) if rng.random() < 0.6 else palette.lawn(rng, town, rough=True)
        plot.lay(LOT, front.box(front.length / 2, depth + width / 2, front.length, width), surface)
        if surface.mottle > 0.2:
            furrow = palette.furrow(surface)
            for row in np.arange(depth + 0.6, depth + width - 0.5, 1.8):
                plot.lay(YARD, front.box(front.length / 2, float(row), front.length, 0.6), furrow)
        depth += width
    barn = front.box(
        rng.uniform(0.25, 0.75) * front.length, rng.uniform(10, 20), rng.uniform(16, 30), rng.uniform(10, 15)
    )
    if rng.random() < 0.6 and plot.build(barn, 3):
        plot.lay(PATH, barn.part(0, 0, barn.length + 10, barn.width + 10), palette.paving(rng))
        plot.content.roofs += houses.pitched(rng, town, barn, rng.uniform(4, 6), kind="gabled")
    plot.scatter_trees(14, largest=6.6)


_BUILDERS = {
    "detached": _detached,
    "terraced": _terraced,
    "perimeter": _perimeter,
    "slabs": _slabs,
    "commerce": _commerce,
    "park": _park,
    "field": _field,
}
