"""The ground between four streets, and what may still be built on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geoseg.scenes.plants import garden_tree
from geoseg.scenes.streets import ACROSS, DOWN, Edge, edge, node
from geoseg.scenes.things import Box, Content, Patch, Point, Surface, Tree
from geoseg.scenes.town import Town

GROUND, LOT, YARD, PATH, LINE = 0, 1, 2, 3, 4
"""Layers of patches inside a block, all under the streets' layers."""


@dataclass(frozen=True, slots=True)
class Frontage:
    """One side of a block, seen from its corner: `along` the street and `inward` from it."""

    corner: Point
    along: Point
    length: float
    reach: float
    """Distance from the street's centre line to private ground, metres."""
    street: bool

    def point(self, along: float, depth: float) -> Point:
        """World position `along` metres from the corner and `depth` metres behind the edge of private ground."""
        inward = depth + self.reach
        (cos, sin) = self.along
        return self.corner[0] + along * cos - inward * sin, self.corner[
            1
        ] + along * sin + inward * cos

    def behind(self, x: float, y: float) -> float:
        """Distance of a world position from the street's centre line, positive on the block's side."""
        return (y - self.corner[1]) * self.along[0] - (x - self.corner[0]) * self.along[1]

    def box(self, along: float, depth: float, length: float, width: float) -> Box:
        """A box parallel to the street."""
        return Box(*self.point(along, depth), *self.along, length, width)


class Plot:
    """A block being filled: its frontages, and the boxes that stand already."""

    def __init__(self, town: Town, i: int, j: int, rng: np.random.Generator) -> None:
        self.town = town
        self.rng = rng
        self.content = Content()
        self.nodes = (
            node(town, i, j),
            node(town, i + 1, j),
            node(town, i + 1, j + 1),
            node(town, i, j + 1),
        )
        streets = (
            edge(town, ACROSS, i, j),
            edge(town, DOWN, i + 1, j),
            edge(town, ACROSS, i, j + 1),
            edge(town, DOWN, i, j),
        )
        self.sides = tuple(self._frontage(turn, street) for turn, street in enumerate(streets))
        self._standing: list[Box] = []

    def _frontage(self, turn: int, street: Edge) -> Frontage:
        start, end = self.nodes[turn], self.nodes[(turn + 1) % 4]
        length = math.dist(start, end)
        along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        return Frontage(start, along, length, street.reach, bool(street.width))

    @property
    def depth(self) -> float:
        """About how far it is from the first side to the one behind, metres of private ground."""
        sides = self.sides
        return (sides[1].length + sides[3].length) / 2 - sides[0].reach - sides[2].reach

    def cover(self, surface: Surface) -> None:
        """Lay the whole block out with one surface."""
        self.content.patches.append(Patch(GROUND, self.nodes, surface))

    def lay(self, layer: int, box: Box, surface: Surface) -> None:
        """Lay a rectangle of ground, as far as it lies on this block."""
        corners = box.corners()
        for side in self.sides:
            corners = _beyond(side, corners)
        if len(corners) > 2:
            self.content.patches.append(Patch(layer, corners, surface))

    def holds(self, box: Box, margin: float = 0.5) -> bool:
        """Whether a box lies on private ground, `margin` metres from its edge."""
        corners = box.corners()
        return all(
            side.behind(x, y) >= side.reach + margin for side in self.sides for x, y in corners
        )

    def clear(self, box: Box, gap: float = 1.0) -> bool:
        """Whether nothing stands within about `gap` metres of a box (separating axes of two rectangles)."""
        grown = Box(box.x, box.y, box.cos, box.sin, box.length + 2 * gap, box.width + 2 * gap)
        return not any(
            _overlap(grown, other) and _overlap(other, grown) for other in self._standing
        )

    def build(self, box: Box, margin: float = 0.5, gap: float = 1.0) -> bool:
        """Claim the ground of a box if it is private and clear."""
        if not (self.holds(box, margin) and self.clear(box, gap)):
            return False
        self.claim(box)
        return True

    def claim(self, box: Box) -> None:
        """Keep the ground of a box from being built on or planted."""
        self._standing.append(box)

    def scatter_trees(self, count: float, largest: float = 5.2, crowded: float = 0.12) -> None:
        """Plant about `count` trees where nothing stands, and a few so close that they lean over roofs."""
        for _ in range(int(self.rng.poisson(count * self.town.leafiness))):
            u, v = self.rng.uniform(0.06, 0.94, 2)
            tree = garden_tree(self.rng, self.town, self.inside(u, v), largest)
            room = 0.3 if self.rng.random() < crowded else 0.8 * tree.radius
            if self.holds(tree.trunk, 0.5) and self.clear(tree.trunk, room):
                self.content.trees.append(tree)
                if self.rng.random() < 0.4:
                    self._plant_beside(tree)

    def _plant_beside(self, tree: Tree) -> None:
        """One to three trees whose crowns grow into that of another."""
        for turn in self.rng.uniform(0, math.tau, int(self.rng.integers(1, 4))):
            apart = tree.radius * self.rng.uniform(0.8, 1.5)
            place = (tree.x + apart * math.cos(turn), tree.y + apart * math.sin(turn))
            companion = garden_tree(self.rng, self.town, place, 1.2 * tree.radius)
            if self.holds(companion.trunk, 0.5) and self.clear(companion.trunk, 0.5 * tree.radius):
                self.content.trees.append(companion)

    def inside(self, u: float, v: float) -> Point:
        """World position at shares u along and v down the block, 0..1."""
        weights = ((1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v)
        return (
            sum(weight * x for weight, (x, _) in zip(weights, self.nodes, strict=True)),
            sum(weight * y for weight, (_, y) in zip(weights, self.nodes, strict=True)),
        )


def _beyond(side: Frontage, corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """The part of a convex outline on the block's side of a street's centre line (Sutherland and Hodgman's step)."""
    kept: list[Point] = []
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], *corners[:1]), strict=True):
        before, behind = side.behind(ax, ay), side.behind(bx, by)
        if before >= 0:
            kept.append((ax, ay))
        if (before >= 0) != (behind >= 0):
            share = before / (before - behind)
            kept.append((ax + share * (bx - ax), ay + share * (by - ay)))
    return tuple(kept)


def _overlap(box: Box, other: Box) -> bool:
    """Whether the shadows of two boxes on both axes of the first overlap."""
    x, y = other.x - box.x, other.y - box.y
    cos = abs(other.cos * box.cos + other.sin * box.sin)
    sin = abs(other.sin * box.cos - other.cos * box.sin)
    along = (
        abs(x * box.cos + y * box.sin) < (box.length + other.length * cos + other.width * sin) / 2
    )
    return (
        along
        and abs(y * box.cos - x * box.sin)
        < (box.width + other.length * sin + other.width * cos) / 2
    )
