"""Blocks with hardly a building: parks and fields."""

from __future__ import annotations

import math

import numpy as np

from geoseg.scenes import houses, palette
from geoseg.scenes.plants import garden_tree
from geoseg.scenes.plot import LINE, LOT, PATH, YARD, Plot
from geoseg.scenes.things import Box


def build_park(plot: Plot) -> None:
    """Meadow, paths, courts, a kiosk, groves and single trees."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town, rough=rng.random() < 0.5))
    gravel = palette.paving(rng)
    for _ in range(int(rng.integers(1, 4))):
        plot.lay(PATH, _path(plot), gravel)
    for _ in range(int(rng.integers(0, 3))):
        court = _somewhere(plot, rng.uniform(14, 28), rng.uniform(10, 16))
        if plot.build(court, 3, 1):
            _lay_court(plot, court)
    kiosk = _somewhere(plot, rng.uniform(6, 14), rng.uniform(5, 9))
    if rng.random() < 0.5 and plot.build(kiosk, 4):
        plot.content.roofs += houses.pitched(rng, town, kiosk, 3.0)
    for _ in range(int(rng.integers(1, 5))):
        _plant_grove(plot)
    plot.scatter_trees(30, largest=6.6)


def _path(plot: Plot) -> Box:
    """A way from one side of the block to the one behind."""
    one, other = plot.rng.uniform(0.1, 0.9, 2)
    if plot.rng.random() < 0.5:
        (x0, y0), (x1, y1) = plot.inside(0.0, one), plot.inside(1.0, other)
    else:
        (x0, y0), (x1, y1) = plot.inside(one, 0.0), plot.inside(other, 1.0)
    angle, length = math.atan2(y1 - y0, x1 - x0), math.hypot(x1 - x0, y1 - y0)
    return Box.at(((x0 + x1) / 2, (y0 + y1) / 2), angle, length, plot.rng.uniform(1.8, 3))


def _somewhere(plot: Plot, length: float, width: float) -> Box:
    """A box near the middle of the block, parallel to its first street."""
    return Box(*plot.inside(*plot.rng.uniform(0.3, 0.7, 2)), *plot.sides[0].along, length, width)


def _lay_court(plot: Plot, court: Box) -> None:
    plot.lay(LINE, court, palette.court(plot.rng))
    lines = palette.marking(plot.rng)
    plot.lay(LINE, court.part(0, 0, 0.2, court.width - 1), lines)
    for v in (-1, 1):
        plot.lay(LINE, court.part(0, v * (court.width / 2 - 0.7), court.length - 1, 0.2), lines)


def _plant_grove(plot: Plot) -> None:
    """A dozen large trees close together."""
    u, v = plot.rng.uniform(0.12, 0.88, 2)
    for _ in range(int(plot.rng.poisson(13))):
        place = plot.inside(u + plot.rng.normal(0, 0.05), v + plot.rng.normal(0, 0.07))
        tree = garden_tree(plot.rng, plot.town, place, 6.2)
        if plot.holds(tree.trunk, 1.5) and plot.clear(tree.trunk, 2.0):
            plot.content.trees.append(tree)


def build_field(plot: Plot) -> None:
    """Meadow or farmland in strips, a barn, single trees."""
    rng, town = plot.rng, plot.town
    plot.cover(palette.lawn(rng, town, rough=True))
    front = plot.sides[0]
    depth = 0.0
    while depth < plot.depth and rng.random() < 0.85:
        width = min(rng.uniform(12, 40), plot.depth - depth + 1)
        surface = (
            palette.crop(rng, town) if rng.random() < 0.6 else palette.lawn(rng, town, rough=True)
        )
        plot.lay(LOT, front.box(front.length / 2, depth + width / 2, front.length, width), surface)
        if surface.mottle > 0.2:
            furrow = palette.furrow(surface)
            for row in np.arange(depth + 0.6, depth + width - 0.5, 1.8):
                plot.lay(YARD, front.box(front.length / 2, float(row), front.length, 0.6), furrow)
        depth += width
    barn = front.box(
        rng.uniform(0.25, 0.75) * front.length,
        rng.uniform(10, 20),
        rng.uniform(16, 30),
        rng.uniform(10, 15),
    )
    if rng.random() < 0.6 and plot.build(barn, 3):
        plot.lay(PATH, barn.part(0, 0, barn.length + 10, barn.width + 10), palette.paving(rng))
        plot.content.roofs += houses.pitched(rng, town, barn, rng.uniform(4, 6), kind="gabled")
    plot.scatter_trees(14, largest=6.6)
