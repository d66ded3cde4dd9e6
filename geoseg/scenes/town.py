"""The plan of a town: what its seed decides, its streets, and the quarters between them.

The streets are a grid with displaced nodes, missing links and a few main roads:

    node(i, j) ------ street ACROSS (i, j) ------ node(i + 1, j)
        |                                             |
    street DOWN (i, j)        quarter (i, j)          |
        |                                             |
    node(i, j + 1) -------------------------- node(i + 1, j + 1)

Cell (i, j) owns its node, these two streets and the quarter, and all of it follows from the seed
and (i, j) alone: that is why any window of a town can be rendered without the rest. Coordinates
are metres, x to the east and y to the SOUTH, as pixel rows run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Colour = tuple[float, float, float, float]
"""Near-infrared, red, green, blue: grey values of the finished 8-bit image in full sun."""
Label = IntEnum("Label", "IMPERVIOUS BUILDING LOW_VEGETATION TREE CAR", start=0)
Layer = IntEnum("Layer", "GROUND LOT YARD PATH LINE PAVEMENT KERB ROAD REPAIR MARKING", start=0)
"""Of ground patches: those of a quarter lie under those of the streets."""
Array = NDArray[Any]
ACROSS, DOWN = 0, 1
_NORMAL = np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)], np.float32)


def random_stream(seed: int, *place: int) -> np.random.Generator:
    """The generator of one place of one world; `place` may hold negative numbers."""
    return np.random.default_rng([part & 0xFFFFFFFF for part in (seed, seed >> 32, *place)])


def _noise_key(seed: int, purpose: int) -> int:
    """A 32-bit key that keeps the noise fields of one seed apart."""
    mixed = (seed * 0x9E3779B97F4A7C15 + (purpose + 1) * 0xBF58476D1CE4E5B9) % 2**64
    return ((mixed ^ mixed >> 31) * 0x94D049BB133111EB) % 2**64 >> 32


def position_hash(key: int, rows: Array, cols: Array) -> NDArray[np.uint32]:
    """``(len(rows), len(cols))`` well mixed numbers of positions (multiply-xorshift rounds)."""
    down = (rows * 0x85EBCA77 + key & 0xFFFFFFFF).astype(np.uint32)
    across = (cols * 0x9E3779B1 & 0xFFFFFFFF).astype(np.uint32)
    mixed = down[:, None] ^ across[None, :]
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    return mixed ^ mixed >> np.uint32(15)


def smooth_noise(seed: int, purpose: int, y: Array, x: Array, wavelength: float) -> Array:
    """Value noise on a lattice `wavelength` apart: ``(len(y), len(x))`` in [-1, 1], mean 0."""
    row, down = _lattice_steps(y, wavelength)
    col, across = _lattice_steps(x, wavelength)
    lattice = np.arange(row[0], row[-1] + 2), np.arange(col[0], col[-1] + 2)
    numbers = position_hash(_noise_key(seed, purpose), *lattice)
    knots = (numbers >> np.uint32(8)).astype(np.float32) * 2.0**-23 - 1.0
    upper = knots[row - row[0]]
    lines = upper + (knots[row - row[0] + 1] - upper) * down[:, None]
    left: Array = np.take(lines, col - col[0], axis=1)
    right: Array = np.take(lines, col - col[0] + 1, axis=1)
    right -= left
    right *= across
    right += left
    return right


def _lattice_steps(positions: Array, wavelength: float) -> tuple[Array, Array]:
    """The lattice cell of each position, and its smoothstep towards the next knot."""
    scaled = positions / wavelength
    cell = np.floor(scaled)
    part = scaled - cell
    return cell.astype(np.int64), (part * part * (3.0 - 2.0 * part)).astype(np.float32)


def normal_noise(seed: int, purpose: int, rows: Array, cols: Array) -> Array:
    """Four independent unit normal fields ``(4, len(rows), len(cols))``, one value per pixel."""
    numbers = position_hash(_noise_key(seed, purpose), rows, cols)
    octets = numbers.view(np.uint8).reshape(*numbers.shape, 4)
    return np.stack([np.take(_NORMAL, octets[:, :, band]) for band in range(4)])


def shaded(colour: Colour, factor: float) -> Colour:
    """`colour`, darker or brighter."""
    nir, red, green, blue = colour
    return nir * factor, red * factor, green * factor, blue * factor


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    nir, red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return nir, red, green, blue


def varied(
    rng: np.random.Generator, colour: Colour, brightness: float, hue: float = 0.02
) -> Colour:
    """`colour` with normal variation: of its brightness, and of each band (relative deviations)."""
    limits = 1 - 2 * brightness, 1 + 2 * brightness
    factor = float(np.clip(rng.normal(1.0, brightness), *limits))
    nir, red, green, blue = (part * factor * (1.0 + hue * rng.normal()) for part in colour)
    return nir, red, green, blue


def pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, each as likely."""
    return colours[int(rng.integers(len(colours)))]


class Box(NamedTuple):
    """A rectangle around (x, y), its length along (cos, sin) and its width along (-sin, cos)."""

    x: float
    y: float
    cos: float
    sin: float
    length: float
    width: float

    @classmethod
    def between(cls, start: Point, end: Point, width: float) -> Box:
        """The box whose length axis runs from one point to another."""
        (x0, y0), (x1, y1) = start, end
        length = math.dist(start, end)
        cos, sin = (x1 - x0) / length, (y1 - y0) / length
        return cls((x0 + x1) / 2, (y0 + y1) / 2, cos, sin, length, width)

    def point(self, u: float, v: float) -> Point:
        """World position of box coordinates: metres along the length and width axes."""
        return self.x + u * self.cos - v * self.sin, self.y + u * self.sin + v * self.cos

    def part(self, u: float, v: float, length: float, width: float) -> Box:
        """A box in the same direction, centred at box coordinates (u, v)."""
        return Box(*self.point(u, v), self.cos, self.sin, length, width)

    def turned(self) -> Box:
        """The same rectangle with length and width exchanged."""
        return Box(self.x, self.y, -self.sin, self.cos, self.width, self.length)

    def corners(self) -> tuple[Point, ...]:
        """The four corners, in one sense of rotation."""
        signs = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
        return tuple(self.point(u * self.length, v * self.width) for u, v in signs)

    def coordinates(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Box coordinates (u, v) of world positions: numbers, or arrays that broadcast."""
        x, y = x - self.x, y - self.y
        return x * self.cos + y * self.sin, y * self.cos - x * self.sin

    def overlaps(self, other: Box) -> bool:
        """Whether the projections of both boxes on each of this one's axes overlap."""
        u, v = self.coordinates(other.x, other.y)
        cos = abs(other.cos * self.cos + other.sin * self.sin)
        sin = abs(other.sin * self.cos - other.cos * self.sin)
        length = self.length + other.length * cos + other.width * sin
        width = self.width + other.length * sin + other.width * cos
        return bool(abs(u) < length / 2 and abs(v) < width / 2)

    def clipped(self, corners: tuple[Point, ...]) -> tuple[Point, ...]:
        """The part of a convex outline whose v is at least -width (Sutherland-Hodgman)."""
        kept: list[Point] = []
        for (ax, ay), (bx, by) in zip(corners, (*corners[1:], *corners[:1]), strict=True):
            before = self.coordinates(ax, ay)[1] + self.width
            behind = self.coordinates(bx, by)[1] + self.width
            if before >= 0:
                kept.append((ax, ay))
            if (before >= 0) != (behind >= 0):
                share = before / (before - behind)
                kept.append((ax + share * (bx - ax), ay + share * (by - ay)))
        return tuple(kept)


class Surface(NamedTuple):
    """How ground looks: two colours that noise mixes in patches, and how grainy it is."""

    label: int
    base: Colour
    other: Colour  # of worn, dry, bare or repaired patches
    threshold: float  # such patches appear where the patch noise (about -1..1) exceeds this
    sharpness: float  # how abruptly they begin, per unit of patch noise
    grain: float  # relative amplitude of the texture from pixel to pixel
    mottle: float  # relative amplitude of the texture of decimetres


class Patch(NamedTuple):
    """A convex piece of ground; higher layers lie over lower ones."""

    layer: int
    corners: tuple[Point, ...]
    surface: Surface


class Thing:
    """An object on the ground: a roof, a tree or a car. Rendering knows how each looks."""

    __slots__ = ()
    box: Box


@dataclass(frozen=True, slots=True)
class Town:
    """The facts that all cells of one world share."""

    seed: int
    angle: float  # direction of the street grid, radians
    cell: tuple[float, float]  # mean distance of streets along and across that direction, metres
    mix: tuple[
        float, ...
    ]  # shares of detached and terraced houses, closed rows, slabs, commerce, park, field
    sun: Point  # unit vector on the ground towards the sun
    elevation: float  # tangent of the sun's elevation
    dryness: float  # 0: lush grass; 1: a dry summer
    autumn: float  # share of trees that have turned yellow, red or brown
    warmth: float  # preference for red over grey roofs, 0..1
    asphalt: float  # mean brightness of the streets
    leafiness: float  # how many trees there are, around 1
    traffic: float  # how many cars there are, around 1
    gain: tuple[float, ...]  # exposure and white balance of the camera, a factor a band
    haze: tuple[float, ...]  # light that the air adds, a grey value per band
    noise: float  # standard deviation of the sensor noise, in grey values

    @classmethod
    @lru_cache(maxsize=64)
    def from_seed(cls, seed: int) -> Town:
        """The town of a seed; denser ones have fewer gardens and more closed rows."""
        rng = random_stream(seed, 0x70)
        dense = rng.uniform(0.0, 1.0)
        gardens, rows = 1.5 * (1.0 - dense) + 0.35, 1.3 * dense + 0.1
        shares = (gardens, 0.65, rows, 0.35 + 0.3 * dense, 0.4, 0.4, 0.3 * (1.0 - dense))
        # The sun is in the south, as in any survey flight over the northern hemisphere.
        azimuth = math.radians(rng.uniform(115, 245))
        exposure = rng.uniform(0.95, 1.2)
        return cls(
            seed=seed,
            angle=rng.uniform(-0.7, 0.7),
            cell=(rng.uniform(96, 128), rng.uniform(72, 90)),
            mix=tuple(share / sum(shares) for share in shares),
            sun=(math.sin(azimuth), -math.cos(azimuth)),
            elevation=math.tan(math.radians(rng.uniform(40, 58))),
            dryness=rng.beta(1.3, 2.2),
            autumn=rng.beta(1.0, 6.0) + 0.03,
            warmth=rng.uniform(0.2, 0.8),
            asphalt=rng.uniform(84, 122),
            leafiness=rng.uniform(0.8, 1.5),
            traffic=rng.uniform(0.7, 1.25),
            gain=tuple(exposure * rng.uniform(0.96, 1.04) for _ in range(4)),
            haze=tuple(rng.uniform(2, 14) + extra for extra in (0.0, 2.0, 4.0, 8.0)),
            noise=rng.uniform(2.6, 4.6),
        )


class Street(NamedTuple):
    """A street between two nodes."""

    axis: int
    start: Point
    end: Point
    width: float  # of the carriageway, metres; 0 where no street was built
    pavement: float  # width on either side, metres
    main: bool

    @property
    def reach(self) -> float:
        """Distance from the centre line to the first private ground, metres."""
        return self.width / 2 + self.pavement if self.width else 0.6


@lru_cache(maxsize=4096)
def find_node(town: Town, i: int, j: int) -> Point:
    """World position of a street corner."""
    rng = random_stream(town.seed, 1, i, j)
    across = (i + rng.uniform(-0.13, 0.13)) * town.cell[0]
    down = (j + rng.uniform(-0.13, 0.13)) * town.cell[1]
    cos, sin = math.cos(town.angle), math.sin(town.angle)
    return across * cos - down * sin, across * sin + down * cos


@lru_cache(maxsize=4096)
def find_street(town: Town, axis: int, i: int, j: int) -> Street:
    """The street that leaves node (i, j) along an axis; all on one line share their width."""
    habits = random_stream(town.seed, 2, axis, j if axis == ACROSS else i)
    main = bool(habits.random() < 0.22)
    width = habits.uniform(9.0, 12.0) if main else habits.uniform(5.2, 7.4)
    pavement = habits.uniform(2.2, 3.6) if main else habits.uniform(1.2, 2.4)
    if not main and random_stream(town.seed, 3, axis, i, j).random() < 0.14:
        width, pavement = 0.0, 0.0
    end = find_node(town, i + 1, j) if axis == ACROSS else find_node(town, i, j + 1)
    return Street(axis, find_node(town, i, j), end, width, pavement, main)
