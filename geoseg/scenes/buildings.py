"""Buildings: roofs with what is on them, and the quarters that they make up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from geoseg.scenes import grounds
from geoseg.scenes.grounds import Site, lawn, paving
from geoseg.scenes.town import Box, Colour, Layer, Thing, shaded, varied

_PITCHED = (  # colour, weight, and the weight that a liking of warm or of cool colours adds
    ((138, 146, 92, 76), 0.0, 1.0, 0.0),  # new tiles
    ((112, 112, 82, 72), 0.0, 0.7, 0.0),  # old tiles
    ((96, 92, 76, 70), 0.35, 0.0, 0.0),  # brown tiles
    ((84, 88, 92, 98), 0.0, 0.0, 0.9),  # slate
    ((112, 114, 114, 113), 0.0, 0.0, 0.9),  # grey tiles
    ((118, 104, 132, 118), 0.05, 0.0, 0.0),  # copper
)
_METAL: Colour = (196, 200, 204, 208)
_FLAT = (
    ((126, 124, 118, 108), 0.3, 0.0, 0.0),  # gravel
    ((112, 114, 114, 113), 0.22, 0.0, 0.0),  # concrete
    ((158, 158, 154, 146), 0.16, 0.0, 0.0),  # light sheets
    ((70, 72, 74, 78), 0.16, 0.0, 0.0),  # bitumen
    (_METAL, 0.08, 0.0, 0.0),
    ((142, 104, 108, 78), 0.08, 0.0, 0.0),  # planted
)
_GLASS: Colour = (44, 46, 54, 64)
_SOLAR: Colour = (38, 34, 42, 62)
_SKYLIGHT: Colour = (190, 194, 198, 200)


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle in the roof's coordinates: a roof window, a solar panel, a light strip."""

    u: float
    v: float
    length: float
    width: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Roof(Thing):
    """A roof over a rectangle: flat, gabled (ridge along the length axis) or hipped."""

    box: Box
    kind: str
    eaves: float  # height of its lowest edge above the ground, metres
    slope: float  # rise a metre towards the ridge; 0 for flat roofs
    colour: Colour
    seam: float  # spacing of tile courses or metal seams, metres; 0 for none
    wear: float  # relative amplitude of stains and moss
    key: int  # chooses the streaks, so that two roofs of a kind differ
    panels: tuple[Panel, ...] = ()


def roofing(site: Site, kind: str) -> tuple[Colour, Colour]:
    """A roofing to the taste of the town: its colour, before and after variation."""
    table, warm = (_FLAT if kind == "flat" else _PITCHED), site.town.warmth
    weights = [base + more * warm + less * (1 - warm) for _, base, more, less in table]
    number = int(site.rng.choice(len(table), p=np.array(weights) / sum(weights)))
    return table[number][0], varied(site.rng, table[number][0], 0.1)


def _add_slab(site: Site, box: Box, height: float, colour: Colour) -> None:
    """A small flat roof: a shed, a chimney, a dormer, a box of machines."""
    key = int(site.rng.integers(1 << 30))
    site.things.append(Roof(box, "flat", height, 0.0, colour, 0.0, 0.06, key))


def _add_shed(site: Site, box: Box) -> None:
    height = site.rng.uniform(2.2, 2.8)
    _add_slab(site, box, height, roofing(site, "flat")[1])


def add_gabled(site: Site, box: Box, eaves: float, colour: Colour) -> None:
    """A house of a row: the ridge runs along the row whatever its proportions."""
    wear, key = site.rng.uniform(0.03, 0.12), int(site.rng.integers(1 << 30))
    site.things.append(Roof(box, "gabled", eaves, 0.7, colour, 0.45, wear, key))


def add_pitched(
    site: Site, box: Box, eaves: float, colour: Colour | None = None, kind: str = ""
) -> Roof:
    """A gabled or hipped house with chimney, often with windows or solar panels in the roof."""
    rng = site.rng
    if box.width > box.length:
        box = box.turned()
    kind = kind or ("gabled" if rng.random() < 0.7 else "hipped")
    slope = rng.uniform(0.45, 0.95)
    colour = colour or roofing(site, "pitched")[1]
    panels = _roof_windows(site, box) if kind == "gabled" else ()
    wear, key = rng.uniform(0.03, 0.12), int(rng.integers(1 << 30))
    roof = Roof(box, kind, eaves, slope, colour, 0.45, wear, key, panels)
    site.things.append(roof)
    if rng.random() < 0.75:
        u, v = rng.uniform(-0.35, 0.35) * box.length, rng.uniform(-0.15, 0.15) * box.width
        size, ridge = rng.uniform(0.6, 1.0), eaves + slope * box.width / 2
        brick = varied(rng, (120, 112, 96, 90), 0.15)
        _add_slab(site, box.part(u, v, size, size), ridge + 0.6, brick)
    if kind == "gabled" and box.width > 8 and rng.random() < 0.3:
        v = float(rng.choice([-1, 1])) * box.width * 0.28
        dormer = box.part(rng.uniform(-0.2, 0.2) * box.length, v, 2.4, box.width * 0.3)
        height, tone = eaves + slope * box.width * 0.36, shaded(colour, rng.uniform(0.8, 1.1))
        _add_slab(site, dormer, height, tone)
    return roof


def add_angled(site: Site, box: Box, eaves: float) -> None:
    """A house with a wing at a right angle, under one roofing."""
    rng = site.rng
    main = add_pitched(site, box, eaves, roofing(site, "pitched")[1], "gabled")
    v = float(rng.choice([-1, 1])) * 0.42 * box.width
    u, width = rng.uniform(-0.3, 0.3) * box.length, rng.uniform(0.55, 0.8) * box.width
    wing = box.part(u, v, 0.42 * box.length, width).turned()
    site.things.append(replace(main, box=wing, key=main.key + 1, panels=()))


def add_flat(site: Site, box: Box, height: float) -> None:
    """A flat roof with its parapet, and machines and skylights on larger ones."""
    rng, area = site.rng, box.length * box.width
    material, colour = roofing(site, "flat")
    metal = material == _METAL
    panels = _skylights(site, box) if area > 120 and rng.random() < 0.6 else ()
    if area > 100 and not panels and rng.random() < 0.35:
        rows = np.arange(-box.width / 2 + 2.0, box.width / 2 - 1.5, 2.4)
        length = (box.length - 4) * rng.uniform(0.5, 0.9)
        panels = tuple(Panel(0.0, float(v), length, 1.4, _SOLAR) for v in rows)
    wear = rng.uniform(0.02, 0.07) if metal else rng.uniform(0.05, 0.16)
    key, seam = int(rng.integers(1 << 30)), 0.7 if metal else 0.0
    site.things.append(Roof(box, "flat", height, 0.0, colour, seam, wear, key, panels))
    for _ in range(rng.poisson(min(6.0, area / 180))):
        u, v = rng.uniform(-0.4, 0.4) * (box.length - 3), rng.uniform(-0.4, 0.4) * (box.width - 3)
        machine = box.part(u, v, rng.uniform(1.0, 4.0), rng.uniform(1.0, 2.6))
        tone = varied(rng, (140, 142, 142, 140), 0.2)
        _add_slab(site, machine, height + rng.uniform(0.6, 2.4), tone)


def _roof_windows(site: Site, box: Box) -> tuple[Panel, ...]:
    """Roof windows, or a field of solar panels on one side."""
    rng = site.rng
    side = float(rng.choice([-1, 1])) * box.width
    if rng.random() < 0.2:
        length = box.length * rng.uniform(0.4, 0.8)
        return (Panel(0.0, side * 0.25, length, box.width * 0.3, _SOLAR),)
    glass = _GLASS if rng.random() < 0.7 else shaded(_SKYLIGHT, 0.85)
    spots = rng.uniform(-0.4, 0.4, int(rng.integers(0, 4)))
    return tuple(Panel(float(u) * box.length, side * 0.24, 0.9, 1.3, glass) for u in spots)


def _skylights(site: Site, box: Box) -> tuple[Panel, ...]:
    """Rows of domes, or of long strips, on a hall."""
    gap, size = site.rng.uniform(5, 9), site.rng.uniform(1.0, 1.8)
    us, vs = (
        [float(at) for at in np.arange(-side / 2 + gap, side / 2 - gap / 2, gap)]
        for side in (box.length, box.width)
    )
    if site.rng.random() < 0.4:
        return tuple(Panel(u, 0.0, size, box.width * 0.7, _SKYLIGHT) for u in us)
    return tuple(Panel(u, v, size, size, _SKYLIGHT) for u in us for v in vs)


def add_house(site: Site, lot: Box, turned: bool, fenced: bool) -> None:
    """One property: lawn, house, drive with garage and car, terrace, garden."""
    rng, width, depth = site.rng, lot.length, lot.width
    ground = lot.part(0.0, depth / 2, width, depth)
    if site.contains(ground, -1.0):
        site.pave(Layer.LOT, ground, lawn(site))
    length, across = rng.uniform(9, min(14, width - 4.5)), rng.uniform(8, 11.5)
    setback = rng.uniform(3, 7)
    shift = 0.7 * float(rng.choice([-1, 1])) * (width - length - 3) / 2
    house = lot.part(shift, setback + across / 2, length, across)
    if not site.reserve(house, 1.5):
        return
    eaves, style = rng.uniform(3.0, 6.5), rng.random()
    if style < 0.14:
        add_flat(site, house, eaves + 1)
    elif style < 0.38:
        add_angled(site, house, eaves)
    else:
        add_pitched(site, house.turned() if turned else house, eaves)
    stone = paving(site) if rng.random() < 0.6 else grounds.asphalt(site, 0.12)
    drive = -math.copysign(width / 2 - 2.0, shift)
    reach = setback + across * rng.uniform(0.3, 0.9)
    site.pave(
        Layer.PATH, lot.part(drive, reach / 2 - 0.2, rng.uniform(2.8, 4.0), reach + 0.4), stone
    )
    site.pave(Layer.PATH, lot.part(shift, setback / 2, 1.3, setback), stone)
    if rng.random() < 0.75:
        sizes = rng.uniform(4, 8), rng.uniform(3.4, 4.6)
        site.pave(Layer.PATH, lot.part(shift, setback + across + 1.8, *sizes), paving(site))
    garage = lot.part(drive, reach + 3.0, 3.2, 6.0)
    if rng.random() < 0.5 and site.reserve(garage, 0.2, 0.1):
        _add_shed(site, garage)
    if rng.random() < 0.5 * site.town.traffic:
        place = rng.uniform(2.8, max(3.0, reach - 2.6))
        heading = math.copysign(math.pi / 2, rng.normal())
        grounds.add_car(site, lot.part(drive, 0.0, 1.0, 1.0), 0.0, place, heading)
    _plant_garden(site, lot, fenced)


def _plant_garden(site: Site, lot: Box, fenced: bool) -> None:
    """Perhaps a shed, a vegetable bed and a hedge; trees."""
    rng, width, depth = site.rng, lot.length, lot.width
    along = rng.uniform(-0.3, 0.3) * width
    shed = lot.part(along, depth - 2.5, rng.uniform(2, 3.6), rng.uniform(2, 3))
    if rng.random() < 0.4 and site.reserve(shed, 0.5):
        _add_shed(site, shed)
    if rng.random() < 0.3:
        along = rng.uniform(-0.2, 0.2) * width
        bed = lot.part(along, depth * 0.75, rng.uniform(3, 7), rng.uniform(2, 4))
        site.pave(Layer.YARD, bed, grounds.crop(site))
    if fenced and rng.random() < 0.6:
        fence = lot.part(width / 2, depth * 0.62, 1.0, depth * 0.7).turned()
        if site.contains(fence, 0.3) and site.is_free(fence, -0.2):
            _plant_hedge(site, fence)
    for _ in range(rng.poisson(3.2 * site.town.leafiness)):
        place = lot.point(rng.uniform(-0.45, 0.45) * width, rng.uniform(1.5, depth))
        tree = grounds.garden_tree(site, place, 5.0)
        grounds.plant(site, tree, 0.8, 0.55 * tree.radius)


def _plant_hedge(site: Site, line: Box) -> None:
    """A row of touching shrubs along the length axis of a box."""
    rng = site.rng
    colour = grounds.leaf_colour(site, conifer=bool(rng.random() < 0.3))
    radius, height = rng.uniform(0.9, 1.25), rng.uniform(1.6, 2.6)
    start, end = -line.length / 2 + radius, line.length / 2 - 0.5 * radius
    for u in np.arange(start, end, 1.15 * radius):
        place = line.point(float(u), rng.normal(0, 0.08))
        width = radius * rng.uniform(0.9, 1.15)
        shrub = grounds.crown(place, width)
        site.things.append(grounds.Tree(shrub, height, colour, False, 0.4))


def build_detached(site: Site) -> None:
    """Houses in gardens along every street."""
    rng = site.rng
    site.cover(lawn(site))
    turned, fenced = rng.random() < 0.3, rng.random() < 0.5
    depth = min(34.0, site.depth / 2 - 1)
    for side, start, end in site.fronts(dict(enumerate((0.5, 0.5 + depth) * 2))):
        while (width := rng.uniform(15, 21)) < end - start + 4:
            add_house(site, side.part(start + width / 2, 0.0, width, depth), turned, fenced)
            start += width
    grounds.scatter_trees(site, 26, 5.8)


def build_terraced(site: Site) -> None:
    """Rows of narrow houses with front and back gardens."""
    rng = site.rng
    site.cover(lawn(site))
    colour = roofing(site, "pitched")[1]
    for side, start, end in site.fronts({0: 3.0, 2: 3.0}):
        unit, across, setback = rng.uniform(5.6, 7.4), rng.uniform(9, 11.5), rng.uniform(3.5, 7)
        eaves, tint = rng.uniform(4.5, 6.5), None if rng.random() < 0.25 else colour
        depth = min(setback + across + 16, site.depth / 2)
        while start + unit < end:
            lot = side.part(start + unit / 2, 0.0, unit, depth)
            _add_row_house(site, lot, across, setback, eaves, tint)
            start += unit + (rng.uniform(4, 9) if rng.random() < 0.12 else 0.0)
    grounds.scatter_trees(site, 30, 5.0)


def _add_row_house(
    site: Site, lot: Box, across: float, setback: float, eaves: float, colour: Colour | None
) -> None:
    """One house of a row with garden, front path or parking place, and terrace.

    Without a colour it has a flat roof.
    """
    rng, unit = site.rng, lot.length
    house = lot.part(0.0, setback + across / 2, unit + 0.1, across)
    site.pave(Layer.LOT, lot.part(0.0, lot.width / 2, unit, lot.width), lawn(site))
    if not site.reserve(house, 0.5, -0.4):
        return
    eaves += rng.normal(0, 0.25)
    if colour is None:
        add_flat(site, house, eaves + 1.5)
    else:
        own = roofing(site, "pitched")[1]
        tint = varied(rng, colour, 0.08) if rng.random() < 0.75 else own
        add_gabled(site, house, eaves, tint)
    width = 1.4 if rng.random() < 0.5 else unit * 0.8
    site.pave(Layer.PATH, lot.part(0.0, setback / 2, width, setback + 0.4), paving(site))
    site.pave(Layer.PATH, lot.part(0.0, setback + across + 1.6, unit - 0.6, 3.2), paving(site))
