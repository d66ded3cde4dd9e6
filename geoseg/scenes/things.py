"""What stands in a scene: surfaces on the ground, roofs, trees and cars, as plain values in world metres.

World coordinates are metres, x to the east and y to the SOUTH (as pixel rows run). Colours are four reflectances,
near-infrared, red, green, blue, on the scale of the finished 8-bit image in full sun.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

Point = tuple[float, float]
Colour = tuple[float, float, float, float]

IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE, CAR = range(5)


@dataclass(frozen=True, slots=True)
class Box:
    """An oriented rectangle."""

    x: float
    y: float
    cos: float
    """Direction of the length axis; the width axis is (-sin, cos)."""
    sin: float
    length: float
    width: float

    @classmethod
    def at(cls, centre: Point, angle: float, length: float, width: float) -> Box:
        """The box around `centre` whose length axis points along `angle` (radians, from east to south)."""
        return cls(centre[0], centre[1], math.cos(angle), math.sin(angle), length, width)

    def point(self, u: float, v: float) -> Point:
        """World position of box coordinates, metres along the length and the width axis from the centre."""
        return self.x + u * self.cos - v * self.sin, self.y + u * self.sin + v * self.cos

    def part(self, u: float, v: float, length: float, width: float) -> Box:
        """A box in the same direction, centred at box coordinates (u, v)."""
        x, y = self.point(u, v)
        return Box(x, y, self.cos, self.sin, length, width)

    def turned(self) -> Box:
        """The same rectangle with length and width exchanged."""
        return Box(self.x, self.y, -self.sin, self.cos, self.width, self.length)

    def corners(self) -> tuple[Point, ...]:
        """The four corners, in one sense of rotation."""
        half, side = self.length / 2, self.width / 2
        return tuple(
            self.point(u, v)
            for u, v in ((-half, -side), (half, -side), (half, side), (-half, side))
        )

    def bounds(self) -> tuple[float, float, float, float]:
        """``(left, top, right, bottom)`` of the upright rectangle around it."""
        across = (abs(self.cos) * self.length + abs(self.sin) * self.width) / 2
        down = (abs(self.sin) * self.length + abs(self.cos) * self.width) / 2
        return self.x - across, self.y - down, self.x + across, self.y + down


@dataclass(frozen=True, slots=True)
class Surface:
    """How a piece of ground looks: two colours that noise mixes in patches, and how grainy it is."""

    label: int
    base: Colour
    other: Colour
    """The colour of worn, dry, bare or mended patches."""
    threshold: float
    """Patches appear where the patch noise (about -1..1) exceeds this."""
    sharpness: float
    """How abruptly they begin (per unit of patch noise)."""
    grain: float
    """Relative amplitude of the pixel-to-pixel texture."""
    mottle: float
    """Relative amplitude of the decimetre texture."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A convex piece of ground."""

    layer: int
    """Higher layers lie over lower ones."""
    corners: tuple[Point, ...]
    surface: Surface


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle on a roof in the roof's own coordinates: a roof window, a solar panel, a light strip."""

    u: float
    v: float
    length: float
    width: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Roof:
    """A roof over a rectangle: flat, gabled (ridge along the length axis) or hipped."""

    box: Box
    kind: str
    eaves: float
    """Height of its lowest edge above the ground, metres."""
    slope: float
    """Rise per metre towards the ridge; 0 for flat roofs."""
    colour: Colour
    seam: float
    """Spacing of tile courses or metal seams, metres; 0 for none."""
    wear: float
    """Relative amplitude of stains and moss."""
    key: int
    """Chooses the streaks, so that two alike roofs differ."""
    panels: tuple[Panel, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """A crown seen from above."""

    x: float
    y: float
    radius: float
    height: float
    colour: Colour
    conifer: bool
    ragged: float
    """How much the outline and the leaf clumps vary, 0..1."""

    @property
    def trunk(self) -> Box:
        """The ground that it stands on."""
        return Box(self.x, self.y, 1.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Car:
    """A car or van; the length axis of its box points to the front."""

    box: Box
    colour: Colour
    height: float
    glass: float
    """Brightness of the windows: dark, or glaring where the sky mirrors in them."""


@dataclass(slots=True)
class Content:
    """All that one cell of the world holds, each list in painting order."""

    patches: list[Patch] = field(default_factory=list)
    roofs: list[Roof] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    cars: list[Car] = field(default_factory=list)
