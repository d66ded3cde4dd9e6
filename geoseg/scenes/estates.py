"""Blocks with few large buildings: apartment slabs on a lawn, halls among parking lots."""

from __future__ import annotations

import numpy as np

from geoseg.scenes import houses, palette
from geoseg.scenes.parking import lay_bays
from geoseg.scenes.plants import garden_tree
from geoseg.scenes.plot import PATH, YARD, Plot
from geoseg.scenes.things import Box


def build_slabs(plot: Plot) -> None:
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
            slab = front.box(
                along + length / 2, plot.depth * rng.choice([0.4, 0.75]), length, across
            )
            along += length * rng.uniform(0.5, 1.1)
        if plot.build(slab, 3.0, 5.0):
            long = slab if slab.length > slab.width else slab.turned()
            flat_roofed = rng.random() < 0.75
            make = houses.flat if flat_roofed else houses.pitched
            plot.content.roofs += make(rng, town, long, height)
            plot.lay(
                PATH, long.part(0, long.width / 2 + 2.2, long.length, 1.8), palette.paving(rng)
            )
    lay_bays(plot, front, 6.5, 1)
    ground = Box(*plot.inside(rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.7)), *front.along, 11, 8)
    if plot.build(ground, 4, 3):
        plot.lay(
            YARD, ground, palette.court(rng) if rng.random() < 0.5 else palette.crop(rng, town)
        )
    plot.scatter_trees(34, largest=6.4)


def build_commerce(plot: Plot) -> None:
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
        lay_bays(plot, front, 6.0 + 18 * row, 2 if row else 1)
    for side in plot.sides:
        if rng.random() < 0.6:
            strip = side.box(side.length / 2, 1.5, side.length - 24, 3.0)
            plot.lay(YARD, strip, palette.lawn(rng, town))
            for along in np.arange(16, side.length - 15, rng.uniform(7, 13)):
                place = side.point(float(along), 1.5)
                plot.content.trees.append(garden_tree(rng, town, place, 4.0))
