"""Open ground: sites that a town fills, grass and paving, trees and cars.

Colours overlap on purpose, as in real imagery: slate is as grey as asphalt, a planted roof as green
as a lawn, dry grass as pale as gravel. Shape, texture, shadow and neighbourhood distinguish them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geoseg.scenes.town import (
    ACROSS,
    DOWN,
    Box,
    Colour,
    Label,
    Layer,
    Patch,
    Point,
    Street,
    Surface,
    Thing,
    Town,
    find_node,
    find_street,
    mixed,
    pick,
    shaded,
    varied,
)

_GREEN = ((170, 74, 96, 60), (146, 62, 82, 56), (182, 88, 108, 66), (136, 70, 84, 64))
_AUTUMNAL = ((160, 128, 82, 58), (150, 142, 112, 60), (128, 112, 92, 66), (140, 92, 62, 62))
_CONIFEROUS = ((112, 48, 66, 54), (98, 46, 58, 54))
_DRY_LEAF, _BARE_SOIL = (150, 116, 106, 72), (128, 128, 108, 84)
_LUSH_GRASS, _DRY_GRASS = (166, 72, 97, 60), (150, 134, 122, 88)
_CROPS = ((170, 92, 110, 66), (158, 156, 134, 92), (116, 114, 96, 80))  # growing, ripe, ploughed
_PAVING = ((146, 144, 138, 130), (128, 126, 122, 116), (136, 136, 98, 84), (150, 146, 130, 108))
"""Slabs, setts, brick, gravel."""
_COURTS = ((128, 138, 84, 74), (104, 72, 106, 84), (100, 74, 92, 128))
_COMMON_PAINTS = ((214, 216, 216, 214), (150, 158, 160, 164), (40, 38, 40, 44), (84, 88, 92, 96))
_RARE_PAINTS = ((150, 150, 42, 40), (96, 44, 66, 128), (140, 170, 150, 50), (110, 60, 96, 64))
_PAINT_SHARES = np.array((0.24, 0.20, 0.22, 0.14, 0.08, 0.08, 0.02, 0.02))


@dataclass(frozen=True, slots=True)
class Tree(Thing):
    """A tree seen from above; its box is the square around its crown."""

    box: Box
    height: float
    colour: Colour
    conifer: bool
    ragged: float  # how much the outline and the leaf clumps vary, 0..1

    @property
    def radius(self) -> float:
        """Of the crown, metres."""
        return self.box.length / 2

    @property
    def trunk(self) -> Box:
        """The ground that it needs."""
        return self.box.part(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Car(Thing):
    """A car or van; the length axis of its box points to the front."""

    box: Box
    colour: Colour
    height: float
    glass: float  # brightness of the windows: dark, or glaring where they mirror the sky


class Site:
    """Ground that one random stream fills: a street, or the quarter of a cell.

    The sides of a quarter are boxes that begin at its corners and run along the edge of private
    ground, with the quarter towards positive v; their width is the street's reach.
    """

    def __init__(self, town: Town, rng: np.random.Generator, *cell: int) -> None:
        self.town = town
        self.rng = rng
        self.patches: list[Patch] = []
        self.things: list[Thing] = []
        self.reserved: list[Box] = []
        self.corners: tuple[Point, ...] = ()
        self.streets: tuple[Street, ...] = ()
        self.sides: list[Box] = []
        if cell:
            i, j = cell
            nodes = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            links = ((ACROSS, i, j), (DOWN, i + 1, j), (ACROSS, i, j + 1), (DOWN, i, j))
            self.corners = tuple(find_node(town, *place) for place in nodes)
            self.streets = tuple(find_street(town, *link) for link in links)
            for turn, street in enumerate(self.streets):
                line = Box.between(self.corners[turn], self.corners[turn - 3], street.reach)
                side = line.part(-line.length / 2, street.reach, line.length, street.reach)
                self.sides.append(side)

    @property
    def depth(self) -> float:
        """About how far it is from the first side to the one behind, metres of private ground."""
        front, right, back, left = self.sides
        return (right.length + left.length) / 2 - front.width - back.width

    def fronts(self, insets: dict[int, float]) -> Iterator[tuple[Box, float, float]]:
        """Sides on a street, with the start and end of their buildable length.

        `insets` are the metres kept free at both ends of private ground, of each side that matters.
        """
        for turn, inset in insets.items():
            if self.streets[turn].width:
                before, side, after = (self.sides[(turn + step) % 4] for step in (-1, 0, 1))
                yield side, before.width + inset, side.length - after.width - inset

    def at(self, u: float, v: float) -> Point:
        """World position at fractions u along and v down the quarter, 0..1."""
        weights = ((1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v)
        corners = list(zip(weights, self.corners, strict=True))
        return sum(w * x for w, (x, _) in corners), sum(w * y for w, (_, y) in corners)

    def box_at(self, place: Point, length: float, width: float) -> Box:
        """A box around a place, parallel to the first side."""
        return Box(*place, self.sides[0].cos, self.sides[0].sin, length, width)

    def cover(self, surface: Surface) -> None:
        """Cover the whole quarter with one surface."""
        self.patches.append(Patch(Layer.GROUND, self.corners, surface))

    def pave(self, layer: int, box: Box, surface: Surface) -> None:
        """Add a rectangle of ground, cut off at the streets' centre lines."""
        corners = box.corners()
        for side in self.sides:
            corners = side.clipped(corners)
        if len(corners) > 2:
            self.patches.append(Patch(layer, corners, surface))

    def contains(self, box: Box, margin: float) -> bool:
        """Whether a box lies on private ground, `margin` metres from its edge."""
        corners = [(side, corner) for side in self.sides for corner in box.corners()]
        return all(side.coordinates(*corner)[1] >= margin for side, corner in corners)

    def is_free(self, box: Box, gap: float) -> bool:
        """Whether nothing is built within about `gap` metres of a box (separating axes)."""
        grown = box._replace(length=box.length + 2 * gap, width=box.width + 2 * gap)
        return not any(grown.overlaps(other) and other.overlaps(grown) for other in self.reserved)

    def reserve(self, box: Box, margin: float = 0.5, gap: float = 1.0) -> bool:
        """Keep other things from the ground of a box, if it is private and free."""
        fits = self.contains(box, margin) and self.is_free(box, gap)
        if fits:
            self.reserved.append(box)
        return fits


def leaf_colour(site: Site, *, conifer: bool = False) -> Colour:
    """Foliage of one tree in this town's season."""
    rng = site.rng
    if conifer:
        return varied(rng, pick(rng, _CONIFEROUS), 0.1)
    green = pick(rng, _GREEN)
    if rng.random() < site.town.autumn:
        return varied(rng, mixed(green, pick(rng, _AUTUMNAL), rng.uniform(0.6, 1.0)), 0.1)
    return varied(rng, mixed(green, _DRY_LEAF, 0.25 * site.town.dryness), 0.12, 0.07)


def lawn(site: Site, *, rough: bool = False) -> Surface:
    """Grass: mown or rough, lush or dry, with bare or clovery patches."""
    rng = site.rng
    dry = float(np.clip(site.town.dryness * 0.75 + rng.normal(0, 0.16), 0.0, 0.9))
    base = varied(rng, mixed(_LUSH_GRASS, _DRY_GRASS, dry), 0.13, 0.06)
    bare = varied(rng, _BARE_SOIL, 0.08)
    if rng.random() < 0.6:
        other = mixed(base, bare, rng.uniform(0.25, 0.9))
    else:
        other = shaded(base, rng.uniform(0.8, 0.92))
    threshold = rng.uniform(-0.1, 0.35) if rough else rng.uniform(0.1, 0.6)
    return Surface(Label.LOW_VEGETATION, base, other, threshold, 2.5, 0.08, 0.24 if rough else 0.13)


def crop(site: Site) -> Surface:
    """A field or a vegetable bed: growing, ripe or ploughed."""
    base = varied(site.rng, pick(site.rng, _CROPS), 0.08)
    mottle = 0.2 + 0.05 * site.town.dryness
    return Surface(Label.LOW_VEGETATION, base, shaded(base, 0.82), 0.2, 2.0, 0.06, mottle)


def furrow(field: Surface) -> Surface:
    """The darker lines between the rows of a field."""
    base, other = shaded(field.base, 0.86), shaded(field.other, 0.9)
    return field._replace(base=base, other=other, grain=0.05, mottle=0.2)


def asphalt(site: Site, spread: float = 0.07) -> Surface:
    """Road surface with repaired patches, `spread` around the brightness that the town likes."""
    tone = site.town.asphalt * float(np.clip(site.rng.normal(1.0, spread), 0.7, 1.4))
    base = varied(site.rng, (tone * 0.97, tone, tone * 1.01, tone * 1.02), 0.0, 0.015)
    return _hard(base, site.rng.uniform(0.84, 1.14), 0.35, 5.0, 0.03, 0.03)


def paving(site: Site, brick: float = 0.28) -> Surface:
    """Slabs, setts, brick (with that probability) or gravel: drives, terraces, yards and paths."""
    weights = (0.42 - brick / 2, 0.38 - brick / 2, brick, 0.2)
    base = varied(site.rng, _PAVING[int(site.rng.choice(4, p=weights))], 0.08)
    return _hard(base, site.rng.uniform(0.85, 1.08), 0.3, 3.0, 0.06, 0.1)


def court(site: Site) -> Surface:
    """A painted sports court: red or green, and hard."""
    return _hard(varied(site.rng, pick(site.rng, _COURTS), 0.06), 0.92, 0.4, 3.0, 0.02, 0.04)


def marking(site: Site) -> Surface:
    """White road paint, worn to the asphalt in places."""
    bright = site.rng.uniform(168, 220)
    return _hard((bright * 0.97, bright, bright, bright * 0.98), 0.7, 0.1, 4.0, 0.05, 0.1)


def kerb(site: Site) -> Surface:
    """The pale line of kerb stones between carriageway and pavement."""
    return _hard(varied(site.rng, (150, 152, 150, 144), 0.07), 0.85, 0.3, 4.0, 0.04, 0.06)


def _hard(base: Colour, worn: float, *look: float) -> Surface:
    return Surface(Label.IMPERVIOUS, base, shaded(base, worn), *look)


def crown(place: Point, radius: float) -> Box:
    """The square around the crown of a tree."""
    return Box(*place, 1.0, 0.0, 2 * radius, 2 * radius)


def street_tree(site: Site, place: Point) -> Tree:
    """A broad-leaved tree of middling size."""
    rng = site.rng
    radius = rng.uniform(2.2, 4.3)
    colour = leaf_colour(site)
    height = rng.uniform(1.6, 2.2) * radius + 1.5
    return Tree(crown(place, radius), height, colour, False, rng.uniform(0.4, 0.8))


def garden_tree(site: Site, place: Point, largest: float) -> Tree:
    """A tree or a large shrub of any kind; the radius of broad-leaved ones is up to `largest`."""
    rng = site.rng
    conifer = bool(rng.random() < 0.2)
    if conifer:
        radius = rng.uniform(1.3, 2.6)
        height = radius * rng.uniform(2.6, 3.8)
    else:
        radius = 1.4 + max(0.6, largest - 1.4) * rng.beta(1.7, 1.9)
        height = radius * rng.uniform(1.4, 2.0) + 1.0
    colour = leaf_colour(site, conifer=conifer)
    return Tree(crown(place, radius), min(14.0, height), colour, conifer, rng.uniform(0.3, 1.0))


def plant(site: Site, tree: Tree, margin: float, room: float) -> bool:
    """Plant a tree on private ground `margin` metres from its edge, if `room` metres are free."""
    fits = site.contains(tree.trunk, margin) and site.is_free(tree.trunk, room)
    if fits:
        site.things.append(tree)
    return fits


def scatter_trees(site: Site, count: float, largest: float) -> None:
    """Plant about `count` trees where nothing is built, some so close that they overhang roofs."""
    rng = site.rng
    for _ in range(rng.poisson(count * site.town.leafiness)):
        tree = garden_tree(site, site.at(*rng.uniform(0.06, 0.94, 2)), largest)
        room = 0.3 if rng.random() < 0.12 else 0.8 * tree.radius
        if plant(site, tree, 0.5, room) and rng.random() < 0.4:
            # One to three companions, whose crowns grow into that of the first.
            for angle in rng.uniform(0, math.tau, int(rng.integers(1, 4))):
                apart = tree.radius * rng.uniform(0.8, 1.5)
                place = tree.box.point(apart * math.cos(angle), apart * math.sin(angle))
                companion = garden_tree(site, place, 1.2 * tree.radius)
                plant(site, companion, 0.5, 0.5 * tree.radius)


def add_car(site: Site, frame: Box, u: float, v: float, heading: float) -> None:
    """A car at coordinates (u, v) of a frame, its front turned by `heading` (radians) from it."""
    rng = site.rng
    angle = math.atan2(frame.sin, frame.cos) + heading + rng.normal(0.0, 0.02)
    glass = rng.uniform(24, 52) if rng.random() < 0.85 else rng.uniform(120, 190)
    place = Box(*frame.point(u, v + rng.normal(0.0, 0.08)), math.cos(angle), math.sin(angle), 0, 0)
    if rng.random() < 0.07:
        box = place.part(0, 0, rng.uniform(5.0, 5.9), rng.uniform(1.95, 2.1))
        site.things.append(Car(box, varied(rng, (204, 206, 206, 204), 0.08), 2.3, glass))
        return
    box = place.part(0, 0, rng.uniform(3.8, 4.9), rng.uniform(1.72, 1.95))
    number = int(rng.choice(8, p=_PAINT_SHARES / _PAINT_SHARES.sum()))
    paint = (*_COMMON_PAINTS, *_RARE_PAINTS)[number]
    site.things.append(Car(box, varied(rng, paint, 0.1, 0.03), 1.5, glass))
