"""Trees, and how they stand: along streets, in gardens and groves, clipped to hedges."""

from __future__ import annotations

import numpy as np

from geoseg.scenes.palette import leaf_colour
from geoseg.scenes.things import Box, Point, Tree
from geoseg.scenes.town import Town


def street_tree(rng: np.random.Generator, town: Town, place: Point) -> Tree:
    """A broad-leaved tree of middling size."""
    radius = rng.uniform(2.2, 4.3)
    colour = leaf_colour(rng, town, conifer=False)
    return Tree(
        place[0],
        place[1],
        radius,
        rng.uniform(1.6, 2.2) * radius + 1.5,
        colour,
        False,
        rng.uniform(0.4, 0.8),
    )


def garden_tree(rng: np.random.Generator, town: Town, place: Point, largest: float = 5.2) -> Tree:
    """A tree or a large shrub of any kind."""
    conifer = bool(rng.random() < 0.2)
    radius = float(
        rng.uniform(1.3, 2.6) if conifer else 1.4 + max(0.6, largest - 1.4) * rng.beta(1.7, 1.9)
    )
    height = min(
        14.0, radius * rng.uniform(2.6, 3.8) if conifer else radius * rng.uniform(1.4, 2.0) + 1.0
    )
    colour = leaf_colour(rng, town, conifer=conifer)
    return Tree(place[0], place[1], radius, height, colour, conifer, rng.uniform(0.3, 1.0))


def hedge(rng: np.random.Generator, town: Town, line: Box) -> list[Tree]:
    """A row of touching shrubs along the length axis of `line`."""
    colour = leaf_colour(rng, town, conifer=bool(rng.random() < 0.3))
    radius, height = rng.uniform(0.9, 1.25), rng.uniform(1.6, 2.6)
    return [
        Tree(
            *line.point(float(u), rng.normal(0, 0.08)),
            radius * rng.uniform(0.9, 1.15),
            height,
            colour,
            False,
            0.4,
        )
        for u in np.arange(-line.length / 2 + radius, line.length / 2 - 0.5 * radius, 1.15 * radius)
    ]
