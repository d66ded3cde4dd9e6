"""The street network: a grid with moved nodes, missing edges and a few main roads, and what stands in the streets.

    node(i, j) ----- edge "across" (i, j) ----- node(i + 1, j)
        |                                            |
    edge "down" (i, j)       block (i, j)            |
        |                                            |
    node(i, j + 1) ------------------------ node(i + 1, j + 1)

Cell (i, j) owns its node, these two edges and the block, so everything can be made from the seed and (i, j) alone.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from geoseg.scenes import palette
from geoseg.scenes.chance import stream
from geoseg.scenes.plants import street_tree
from geoseg.scenes.things import Box, Content, Patch, Point
from geoseg.scenes.town import Town
from geoseg.scenes.vehicles import car_at

ACROSS, DOWN = 0, 1
PAVEMENT, KERB, ROAD, MEND, PAINT = 10, 11, 12, 13, 14


class Edge(NamedTuple):
    """A street between two nodes."""

    axis: int
    start: Point
    end: Point
    width: float
    """Width of the carriageway, metres; 0 where no street was built."""
    pavement: float
    """Width of the pavement on either side, metres."""
    main: bool

    @property
    def reach(self) -> float:
        """Distance from the centre line to the first private ground."""
        return self.width / 2 + self.pavement if self.width else 0.6


@lru_cache(maxsize=4096)
def node(town: Town, i: int, j: int) -> Point:
    """World position of a street corner."""
    rng = stream(town.seed, 1, i, j)
    across, down = (
        (i + rng.uniform(-0.13, 0.13)) * town.cell[0],
        (j + rng.uniform(-0.13, 0.13)) * town.cell[1],
    )
    cos, sin = math.cos(town.angle), math.sin(town.angle)
    return across * cos - down * sin, across * sin + down * cos


@lru_cache(maxsize=4096)
def edge(town: Town, axis: int, i: int, j: int) -> Edge:
    """The street that leaves node (i, j) along an axis."""
    line = j if axis == ACROSS else i
    habits = stream(town.seed, 2, axis, line)
    main = bool(habits.random() < 0.22)
    width = float(habits.uniform(9.0, 12.0) if main else habits.uniform(5.2, 7.4))
    pavement = float(habits.uniform(2.2, 3.6) if main else habits.uniform(1.2, 2.4))
    missing = not main and stream(town.seed, 3, axis, i, j).random() < 0.14
    end = node(town, i + 1, j) if axis == ACROSS else node(town, i, j + 1)
    return Edge(
        axis, node(town, i, j), end, 0.0 if missing else width, 0.0 if missing else pavement, main
    )


def edges_at(town: Town, i: int, j: int) -> list[Edge]:
    """The streets that meet at a node, missing ones left out."""
    meeting = (
        edge(town, ACROSS, i, j),
        edge(town, ACROSS, i - 1, j),
        edge(town, DOWN, i, j),
        edge(town, DOWN, i, j - 1),
    )
    return [street for street in meeting if street.width]


@lru_cache(maxsize=384)
def street_content(town: Town, i: int, j: int) -> Content:
    """The streets and the corner that cell (i, j) owns, with their cars and trees."""
    content = Content()
    for axis in (ACROSS, DOWN):
        street = edge(town, axis, i, j)
        if street.width:
            _lay_street(content, town, street, stream(town.seed, 4, axis, i, j))
    _lay_corner(content, town, i, j)
    return content


def _frame(street: Edge) -> Box:
    (x0, y0), (x1, y1) = street.start, street.end
    length = math.hypot(x1 - x0, y1 - y0)
    return Box(
        (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / length, (y1 - y0) / length, length, street.width
    )


def _lay_street(content: Content, town: Town, street: Edge, rng: np.random.Generator) -> None:
    frame = _frame(street)
    tarmac = palette.asphalt(stream(town.seed, 5, street.axis, int(street.main)), town)
    stone = palette.paving(rng)
    full = street.width + 2 * street.pavement
    content.patches += [
        Patch(PAVEMENT, frame.part(0, 0, frame.length, full).corners(), stone),
        Patch(
            KERB, frame.part(0, 0, frame.length, street.width + 0.5).corners(), palette.kerb(rng)
        ),
        Patch(ROAD, frame.corners(), tarmac),
    ]
    for _ in range(int(rng.integers(0, 4))):
        spot = frame.part(
            rng.uniform(-0.4, 0.4) * frame.length,
            rng.uniform(-0.3, 0.3) * street.width,
            rng.uniform(2, 14),
            rng.uniform(0.8, street.width / 2),
        )
        content.patches.append(Patch(MEND, spot.corners(), palette.asphalt(rng, town, 0.16)))
    if street.main:
        _paint_main_street(content, frame, rng)
    _park_and_drive(content, town, street, frame, rng)
    if rng.random() < (0.75 if street.main else 0.4) * town.leafiness:
        gap = rng.uniform(8, 14)
        for side in (-1, 1):
            for u in np.arange(-frame.length / 2 + 14, frame.length / 2 - 13, gap):
                if rng.random() < 0.75:
                    v = side * (street.width / 2 + 0.6 * street.pavement)
                    content.trees.append(street_tree(rng, town, frame.point(float(u), v)))


def _paint_main_street(content: Content, frame: Box, rng: np.random.Generator) -> None:
    """Dashes along the middle, a zebra crossing and a stop line near each end."""
    paint = palette.marking(rng)
    end = frame.length / 2 - 12
    for u in np.arange(-end + 5, end - 5, 6.0):
        content.patches.append(Patch(PAINT, frame.part(float(u), 0, 3.0, 0.22).corners(), paint))
    for side in (-1, 1):
        if rng.random() < 0.7:
            for v in np.arange(-frame.width / 2 + 0.7, frame.width / 2 - 0.4, 1.0):
                stripe = frame.part(side * (end + 0.5), float(v), 3.0, 0.5)
                content.patches.append(Patch(PAINT, stripe.corners(), paint))
        stop = frame.part(side * (end - 2.5), side * frame.width / 4, 0.45, frame.width / 2 - 0.6)
        content.patches.append(Patch(PAINT, stop.corners(), paint))


def _park_and_drive(
    content: Content, town: Town, street: Edge, frame: Box, rng: np.random.Generator
) -> None:
    """Cars along the kerbs, and a few on the lanes (traffic keeps to the right)."""
    end = frame.length / 2 - 13
    for side in (-1, 1):
        parked: list[float] = []
        busy = rng.uniform(0.1, 0.85) * town.traffic if rng.random() < 0.75 else 0.0
        u = -end
        while u < end:
            if rng.random() < busy:
                parked.append(u)
                content.cars.append(
                    car_at(
                        rng,
                        frame,
                        u,
                        side * (street.width / 2 - 1.15),
                        heading=0.0 if side > 0 else math.pi,
                    )
                )
            u += rng.uniform(5.6, 7.0)
        for _ in range(int(rng.poisson((0.9 if street.main else 0.25) * town.traffic))):
            u = rng.uniform(-end, end)
            lane = side * (street.width * (0.16 if street.width > 8 else 0.1) + 0.1)
            # In a narrow street there is room to drive only where nobody has parked.
            if street.width > 8 or all(abs(u - other) > 6.2 for other in parked):
                content.cars.append(
                    car_at(rng, frame, u, lane, heading=0.0 if side > 0 else math.pi)
                )


def _lay_corner(content: Content, town: Town, i: int, j: int) -> None:
    """The round of tarmac in which the streets of a node meet, with its pavement."""
    meeting = edges_at(town, i, j)
    if not meeting:
        return
    rng = stream(town.seed, 6, i, j)
    widest = max(meeting, key=lambda street: street.width)
    radius = widest.width / 2 + (1.6 if len(meeting) > 2 else 0.0)
    centre = node(town, i, j)
    main = any(street.main for street in meeting)
    rings = (
        (PAVEMENT, radius + widest.pavement, palette.paving(rng)),
        (KERB, radius + 0.25, palette.kerb(rng)),
        (ROAD, radius, palette.asphalt(stream(town.seed, 5, widest.axis, int(main)), town)),
    )
    for layer, reach, surface in rings:
        turns = [math.tau * step / 20 for step in range(20)]
        ring = tuple(
            (centre[0] + reach * math.cos(turn), centre[1] + reach * math.sin(turn))
            for turn in turns
        )
        content.patches.append(Patch(layer, ring, surface))
