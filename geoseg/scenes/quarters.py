"""Cells of a town: streets with their traffic, and quarters of seven kinds between them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from geoseg.scenes import buildings, grounds
from geoseg.scenes.grounds import Site, lawn, paving
from geoseg.scenes.town import (
    ACROSS,
    DOWN,
    Box,
    Layer,
    Patch,
    Surface,
    Town,
    find_node,
    find_street,
    random_stream,
)


def build_perimeter(site: Site) -> None:
    """Tall houses wall to wall along the streets, around a yard."""
    rng = site.rng
    site.cover(paving(site, brick=0.04) if rng.random() < 0.5 else grounds.asphalt(site, 0.15))
    across = rng.uniform(11, 13.5)
    for side, start, end in site.fronts(dict(enumerate((0.2, across + 0.4) * 2))):
        while end - start > 8:
            width = min(rng.uniform(11, 21), end - start)
            house = side.part(start + width / 2, across / 2 + 0.1, width, across)
            start += width
            if rng.random() < 0.1 or not site.reserve(house, -0.6, -0.9):
                continue
            if rng.random() < 0.3:
                buildings.add_flat(site, house, rng.uniform(9, 13))
            else:
                colour = buildings.roofing(site, "pitched")[1]
                buildings.add_gabled(site, house, rng.uniform(7, 10), colour)
    for _ in range(rng.integers(1, 5)):
        place = site.at(*rng.uniform(0.3, 0.7, 2))
        wing = site.box_at(place, rng.uniform(7, 18), rng.uniform(5, 9))
        if site.reserve(wing, across, 2.0):
            buildings.add_flat(site, wing, rng.uniform(3, 7))
    for _ in range(rng.integers(1, 5)):
        place = site.at(*rng.uniform(0.28, 0.72, 2))
        green = site.box_at(place, rng.uniform(8, 26), rng.uniform(6, 14))
        site.pave(Layer.LOT, green, lawn(site))
    add_parking(site, site.sides[0], across + 6.5, 1)
    grounds.scatter_trees(site, 18, 5.4)


def build_slabs(site: Site) -> None:
    """Long apartment houses on a shared lawn, with parking by the street."""
    rng, front = site.rng, site.sides[0]
    site.cover(lawn(site))
    upright, height = rng.random() < 0.5, rng.uniform(9, 14)
    along = front.length * 0.16
    while along < front.length * 0.9:
        length, across = rng.uniform(26, 44), rng.uniform(10.5, 13)
        if upright:
            house = front.part(along, site.depth / 2 + 4, across, min(length, site.depth - 16))
            along += across + rng.uniform(12, 20)
        else:
            depth = site.depth * float(rng.choice([0.4, 0.75]))
            house = front.part(along + length / 2, depth, length, across)
            along += length * rng.uniform(0.5, 1.1)
        if site.reserve(house, 3.0, 5.0):
            house = house if house.length > house.width else house.turned()
            add = buildings.add_flat if rng.random() < 0.75 else buildings.add_pitched
            add(site, house, height)
            path = house.part(0, house.width / 2 + 2.2, house.length, 1.8)
            site.pave(Layer.PATH, path, paving(site))
    add_parking(site, front, 6.5, 1)
    play = site.box_at(site.at(rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.7)), 11, 8)
    if site.reserve(play, 4, 3):
        site.pave(
            Layer.YARD, play, grounds.court(site) if rng.random() < 0.5 else grounds.crop(site)
        )
    grounds.scatter_trees(site, 34, 6.4)


def build_commerce(site: Site) -> None:
    """Halls among parking lots."""
    rng = site.rng
    site.cover(grounds.asphalt(site, 0.14))
    front = site.sides[int(rng.choice([0, 2]))]
    for _ in range(rng.integers(6, 16)):
        length, across = rng.uniform(18, 48), rng.uniform(13, 28)
        back = site.depth - across / 2 - rng.uniform(2, 16)
        hall = front.part(rng.uniform(0.2, 0.8) * front.length, back, length, across)
        if site.reserve(hall, 2.0, 6.0):
            buildings.add_flat(site, hall, rng.uniform(5, 10))
    for row in range(max(1, int((site.depth - 28) / 17))):
        add_parking(site, front, 6.0 + 18 * row, 2 if row else 1)
    for side in site.sides:
        if rng.random() < 0.6:
            strip = side.part(side.length / 2, 1.5, side.length - 24, 3.0)
            site.pave(Layer.YARD, strip, lawn(site))
            for along in np.arange(16, side.length - 15, rng.uniform(7, 13)).tolist():
                site.things.append(grounds.garden_tree(site, side.point(along, 1.5), 4.0))


def build_park(site: Site) -> None:
    """Meadow, paths, courts, a kiosk, groves and single trees."""
    rng = site.rng
    site.cover(lawn(site, rough=rng.random() < 0.5))
    gravel = paving(site)
    for _ in range(rng.integers(1, 4)):
        start, end = rng.uniform(0.1, 0.9, 2)
        across = rng.random() < 0.5
        ends = ((0.0, start), (1.0, end)) if across else ((start, 0.0), (end, 1.0))
        path = Box.between(site.at(*ends[0]), site.at(*ends[1]), rng.uniform(1.8, 3))
        site.pave(Layer.PATH, path, gravel)
    for _ in range(rng.integers(0, 3)):
        sizes = rng.uniform(14, 28), rng.uniform(10, 16)
        ground = site.box_at(site.at(*rng.uniform(0.3, 0.7, 2)), *sizes)
        if site.reserve(ground, 3, 1):
            site.pave(Layer.LINE, ground, grounds.court(site))
            paint = grounds.marking(site)
            site.pave(Layer.LINE, ground.part(0, 0, 0.2, ground.width - 1), paint)
            for v in (0.7 - ground.width / 2, ground.width / 2 - 0.7):
                site.pave(Layer.LINE, ground.part(0, v, ground.length - 1, 0.2), paint)
    sizes = rng.uniform(6, 14), rng.uniform(5, 9)
    kiosk = site.box_at(site.at(*rng.uniform(0.3, 0.7, 2)), *sizes)
    if rng.random() < 0.5 and site.reserve(kiosk, 4):
        buildings.add_pitched(site, kiosk, 3.0)
    for _ in range(rng.integers(1, 5)):
        # A grove: a dozen large trees close together.
        u, v = rng.uniform(0.12, 0.88, 2)
        for _ in range(rng.poisson(13)):
            place = site.at(u + rng.normal(0, 0.05), v + rng.normal(0, 0.07))
            grounds.plant(site, grounds.garden_tree(site, place, 6.2), 1.5, 2.0)
    grounds.scatter_trees(site, 30, 6.6)


def build_field(site: Site) -> None:
    """Meadow or farmland in strips, a barn, single trees."""
    rng, front = site.rng, site.sides[0]
    site.cover(lawn(site, rough=True))
    middle, depth = front.length / 2, 0.0
    while depth < site.depth and rng.random() < 0.85:
        width = min(rng.uniform(12, 40), site.depth - depth + 1)
        surface = grounds.crop(site) if rng.random() < 0.6 else lawn(site, rough=True)
        site.pave(Layer.LOT, front.part(middle, depth + width / 2, front.length, width), surface)
        if surface.mottle > 0.2:
            lines = grounds.furrow(surface)
            for row in np.arange(depth + 0.6, depth + width - 0.5, 1.8).tolist():
                site.pave(Layer.YARD, front.part(middle, row, front.length, 0.6), lines)
        depth += width
    place = rng.uniform(0.25, 0.75) * front.length, rng.uniform(10, 20)
    barn = front.part(*place, rng.uniform(16, 30), rng.uniform(10, 15))
    if rng.random() < 0.6 and site.reserve(barn, 3):
        site.pave(Layer.PATH, barn.part(0, 0, barn.length + 10, barn.width + 10), paving(site))
        buildings.add_pitched(site, barn, rng.uniform(4, 6), kind="gabled")
    grounds.scatter_trees(site, 14, 6.6)


def add_parking(site: Site, front: Box, depth: float, rows: int) -> None:
    """Bays side by side where nothing is built, in one or two rows with an aisle behind them."""
    rng, bay = site.rng, 2.55
    busy = rng.uniform(0.2, 0.8) * site.town.traffic
    lines, tarmac = grounds.marking(site), grounds.asphalt(site, 0.12)
    for row in range(rows):
        middle, aisle = depth + 5.1 * row, 8.0 if row == rows - 1 else 0.0
        for along in np.arange(16.0, front.length - 16.0, bay).tolist():
            stall = front.part(along, middle, bay, 5.0)
            if not (site.contains(stall, 0.2) and site.is_free(stall, 0.3)):
                continue
            ground = front.part(along, middle + aisle / 2, bay + 0.1, 5.0 + aisle)
            site.pave(Layer.YARD, ground, tarmac)
            site.pave(Layer.LINE, stall.part(-bay / 2, 0, 0.16, 4.8), lines)
            if rng.random() < busy:
                heading = math.pi / 2 if rng.random() < 0.7 else -math.pi / 2
                grounds.add_car(site, stall, 0.0, rng.normal(0, 0.15), heading)
    middle = depth + 2.55 * (rows - 1)
    site.reserved.append(front.part(front.length / 2, middle, front.length - 34, 5.1 * rows))


def build_street(town: Town, axis: int, i: int, j: int) -> Site:
    """The street that leaves node (i, j) along an axis, with its cars and trees."""
    site = Site(town, random_stream(town.seed, 4, axis, i, j))
    street = find_street(town, axis, i, j)
    if not street.width:
        return site
    rng, frame = site.rng, Box.between(street.start, street.end, street.width)
    length, width = frame.length, frame.width
    site.pave(Layer.PAVEMENT, frame.part(0, 0, length, width + 2 * street.pavement), paving(site))
    site.pave(Layer.KERB, frame.part(0, 0, length, width + 0.5), grounds.kerb(site))
    site.pave(Layer.ROAD, frame, _tarmac(town, axis, street.main))
    for _ in range(rng.integers(0, 4)):
        place = rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.3, 0.3) * width
        spot = frame.part(*place, rng.uniform(2, 14), rng.uniform(0.8, width / 2))
        site.pave(Layer.REPAIR, spot, grounds.asphalt(site, 0.16))
    if street.main:
        _mark_main_street(site, frame)
    for side in (-1, 1):
        _add_traffic(site, frame, side, street.main)
    if rng.random() < (0.75 if street.main else 0.4) * town.leafiness:
        gap = rng.uniform(8, 14)
        for side in (-1, 1):
            v = side * (width / 2 + 0.6 * street.pavement)
            for u in np.arange(-length / 2 + 14, length / 2 - 13, gap).tolist():
                if rng.random() < 0.75:
                    site.things.append(grounds.street_tree(site, frame.point(u, v)))
    return site


def _tarmac(town: Town, axis: int, main: bool) -> Surface:
    """The road surface that all main or all other streets along an axis share."""
    return grounds.asphalt(Site(town, random_stream(town.seed, 5, axis, int(main))))


def _mark_main_street(site: Site, frame: Box) -> None:
    """Dashes along the middle, a zebra crossing and a stop line near each end."""
    paint, end, width = grounds.marking(site), frame.length / 2 - 12, frame.width
    for u in np.arange(-end + 5, end - 5, 6.0).tolist():
        site.pave(Layer.MARKING, frame.part(u, 0, 3.0, 0.22), paint)
    for side in (-1, 1):
        if site.rng.random() < 0.7:
            for v in np.arange(-width / 2 + 0.7, width / 2 - 0.4, 1.0).tolist():
                site.pave(Layer.MARKING, frame.part(side * (end + 0.5), v, 3.0, 0.5), paint)
        stop = frame.part(side * (end - 2.5), side * width / 4, 0.45, width / 2 - 0.6)
        site.pave(Layer.MARKING, stop, paint)


def _add_traffic(site: Site, frame: Box, side: int, main: bool) -> None:
    """Cars along one kerb, and a few on the lane beside it (traffic keeps to the right)."""
    rng, traffic, width = site.rng, site.town.traffic, frame.width
    end, heading = frame.length / 2 - 13, 0.0 if side > 0 else math.pi
    parked: list[float] = []
    busy = rng.uniform(0.1, 0.85) * traffic if rng.random() < 0.75 else 0.0
    u = -end
    while u < end:
        if rng.random() < busy:
            parked.append(u)
            grounds.add_car(site, frame, u, side * (width / 2 - 1.15), heading)
        u += rng.uniform(5.6, 7.0)
    for _ in range(rng.poisson((0.9 if main else 0.25) * traffic)):
        u = rng.uniform(-end, end)
        lane = side * (width * (0.16 if width > 8 else 0.1) + 0.1)
        # In a narrow street there is room to drive only where nobody has parked.
        if width > 8 or all(abs(u - other) > 6.2 for other in parked):
            grounds.add_car(site, frame, u, lane, heading)


def build_corner(town: Town, i: int, j: int) -> Site:
    """The round of tarmac in which the streets of node (i, j) meet, with its pavement."""
    site = Site(town, random_stream(town.seed, 6, i, j))
    ends = ((ACROSS, i, j), (ACROSS, i - 1, j), (DOWN, i, j), (DOWN, i, j - 1))
    meeting = [street for street in (find_street(town, *end) for end in ends) if street.width]
    if not meeting:
        return site
    widest = max(meeting, key=lambda street: street.width)
    (x, y), radius = find_node(town, i, j), widest.width / 2 + (1.6 if len(meeting) > 2 else 0.0)
    rings = (
        (Layer.PAVEMENT, radius + widest.pavement, paving(site)),
        (Layer.KERB, radius + 0.25, grounds.kerb(site)),
        (Layer.ROAD, radius, _tarmac(town, widest.axis, any(street.main for street in meeting))),
    )
    angles = [math.tau * step / 20 for step in range(20)]
    for layer, reach, surface in rings:
        ring = tuple((x + reach * math.cos(at), y + reach * math.sin(at)) for at in angles)
        site.patches.append(Patch(layer, ring, surface))
    return site


_HOUSES = (buildings.build_detached, buildings.build_terraced, build_perimeter, build_slabs)
_BUILDERS = (*_HOUSES, build_commerce, build_park, build_field)  # as `Town.mix` has them
_OVERHANG = 14.0  # metres: no thing reaches further beyond the four nodes of its cell


@lru_cache(maxsize=384)
def cell_sites(town: Town, i: int, j: int) -> tuple[Site, ...]:
    """What cell (i, j) of a town owns: its quarter, two streets and the corner where they begin."""
    quarter = Site(town, random_stream(town.seed, 7, i, j), i, j)
    _BUILDERS[int(quarter.rng.choice(len(_BUILDERS), p=town.mix))](quarter)
    streets = (build_street(town, axis, i, j) for axis in (ACROSS, DOWN))
    return quarter, *streets, build_corner(town, i, j)


def sites_within(town: Town, bounds: tuple[float, float, float, float]) -> Iterator[Site]:
    """All that can reach into ``(left, top, right, bottom)`` metres, whatever else is asked for."""
    left, top = bounds[0] - _OVERHANG, bounds[1] - _OVERHANG
    right, bottom = bounds[2] + _OVERHANG, bounds[3] + _OVERHANG
    cos, sin = math.cos(town.angle), math.sin(town.angle)
    corners = [(x, y) for x in (left, right) for y in (top, bottom)]
    across = [(x * cos + y * sin) / town.cell[0] for x, y in corners]
    down = [(y * cos - x * sin) / town.cell[1] for x, y in corners]
    # Nodes are moved by up to 0.13 of a cell, and a cell reaches one node further than its index.
    for j in range(math.floor(min(down) - 1.2), math.ceil(max(down) + 0.2) + 1):
        for i in range(math.floor(min(across) - 1.2), math.ceil(max(across) + 0.2) + 1):
            nodes = [find_node(town, i + step, j + other) for step in (0, 1) for other in (0, 1)]
            xs, ys = zip(*nodes, strict=True)
            if max(xs) >= left and min(xs) <= right and max(ys) >= top and min(ys) <= bottom:
                yield from cell_sites(town, i, j)
