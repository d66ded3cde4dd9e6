"""From things to pixels: ground, roofs, cars and trees on a raster canvas, then light and camera.

All is a function of absolute positions, computed with +, -, *, comparisons and table look-ups, so a
window of the world equals the same window of any larger one, bit for bit. Things are drawn only
where they are higher than what is there already, so the order of drawing does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoseg.scenes.buildings import Roof
from geoseg.scenes.grounds import Car, Tree
from geoseg.scenes.town import (
    Array,
    Label,
    Patch,
    Surface,
    Thing,
    Town,
    normal_noise,
    random_stream,
    smooth_noise,
)

Area = tuple[slice, slice]
Look = tuple[Array, int, Sequence[Array] | Array, Array, Array]
"""What is seen of a thing, its label, four colours, its height, the sunlight on it."""
_f32 = np.float32
LEAF_CLUMP = 0.35  # metres: the size of the leaf clumps whose bright and dark sides are drawn
_TALLEST = 19.0  # metres: no shadow is longer than that of a thing of this height
_SKYLIGHT = np.array((0.25, 0.30, 0.34, 0.40), np.float32)
"""Share of the light on level ground that comes from the sky, per band: shadows are bluish."""


class Canvas:
    """Labels, colours, heights and shading of a window, and the noise that textures consist of.

    Pixel (r, c) is pixel (row + r, col + c) of the world; its centre is at ``x[c], y[r]`` metres.
    """

    def __init__(
        self, town: Town, row: int, col: int, height: int, width: int, ground_sampling: float
    ) -> None:
        self.town = town
        self.rows = np.arange(row, row + height, dtype=np.int64)
        self.cols = np.arange(col, col + width, dtype=np.int64)
        self.ground_sampling = ground_sampling
        self.y = (self.rows + 0.5) * ground_sampling
        self.x = (self.cols + 0.5) * ground_sampling
        self.labels = np.zeros((height, width), np.uint8)
        self.colour = np.empty((4, height, width), np.float32)
        self.level = np.zeros((height, width), np.float32)  # height of the surface, metres
        self.sunlight = np.ones((height, width), np.float32)  # relative to level ground
        self.grain = normal_noise(town.seed, 0, self.rows, self.cols)
        self.fine, self.clump, self.patchy, self.broad = (
            smooth_noise(town.seed, purpose, self.y, self.x, wavelength)
            for purpose, wavelength in ((1, 0.5), (2, 1.5), (3, 6.0), (4, 28.0))
        )

    def area(self, points: Iterable[tuple[float, float]]) -> Area | None:
        """Rows and columns of the pixels in the bounding box of points, None without pixels."""
        xs, ys = zip(*points, strict=True)
        left, right = np.searchsorted(self.x, (min(xs), max(xs)))
        top, bottom = np.searchsorted(self.y, (min(ys), max(ys)))
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    @cached_property
    def leaf_relief(self) -> Array:
        """How much the leaf clumps of crowns face the sun: clump noise minus itself a step away."""
        step = LEAF_CLUMP / self.ground_sampling
        shifted = relief = self.clump + 0.6 * self.fine
        for axis, toward in enumerate((self.town.sun[1], self.town.sun[0])):
            places = np.arange(relief.shape[axis]) - round(-toward * step)
            shifted = np.take(shifted, places, axis=axis, mode="clip")
        return relief - shifted


def draw_ground(canvas: Canvas, patches: Sequence[Patch], beneath: Surface) -> None:
    """Draw the patches in the order of their layers over a surface that covers everything.

    They write numbers of surfaces into an index map, and one pass over the window turns numbers
    into colours, so the cost does not grow with the number of patches.
    """
    index = np.zeros(canvas.labels.shape, np.intp)
    numbers = {beneath: 0}
    for patch in sorted(patches, key=lambda patch: patch.layer):
        area = canvas.area(patch.corners)
        if area is not None:
            number = numbers.setdefault(patch.surface, len(numbers))
            y, x = canvas.y[area[0], None], canvas.x[None, area[1]]
            np.copyto(index[area], number, where=_inside(patch.corners, y, x))
    canvas.labels[:] = np.array([surface.label for surface in numbers], np.uint8)[index]
    looks = [(*s.base, *np.subtract(s.other, s.base), *s[3:]) for s in numbers]
    table = np.array(looks, np.float32).T
    threshold, sharpness, grain, mottle = (np.take(row, index) for row in table[8:])
    mix = canvas.patchy + 0.6 * canvas.broad + 0.5 * canvas.clump
    mix = np.clip((mix - threshold) * sharpness, 0.0, 1.0)
    mottle *= canvas.fine + 0.7 * canvas.clump
    texture = 1.0 + mottle + grain * canvas.grain[0]
    for band in range(4):
        tone = np.take(table[4 + band], index) * mix + np.take(table[band], index)
        canvas.colour[band] = tone * texture


def _inside(corners: Sequence[tuple[float, float]], y: Array, x: Array) -> Array:
    """Pixels inside a convex outline, whichever way round its corners run."""
    (ax, ay), (bx, by), (cx, cy) = corners[:3]
    turn = 1.0 if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) > 0 else -1.0
    inside = np.ones((y.size, x.size), np.bool_)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        inside &= turn * (bx - ax) * (y - ay) >= turn * (by - ay) * (x - ax)
    return inside


def draw_thing(canvas: Canvas, thing: Thing) -> None:
    """Draw a roof, a car or a tree where it is higher than what is there already."""
    # Ragged crowns leave their box; coordinates in a crown count in radii.
    reach, unit = (1.25, thing.box.length / 2) if isinstance(thing, Tree) else (1.0, 1.0)
    box = thing.box.part(0.0, 0.0, reach * thing.box.length, reach * thing.box.width)
    area = canvas.area(box.corners())
    if area is None:
        return
    place = box.coordinates(canvas.x[None, area[1]], canvas.y[area[0], None])
    u, v = ((axis / unit).astype(np.float32) for axis in place)
    seen, label, colour, height, sunlight = _LOOKS[type(thing)](canvas, thing, area, u, v)
    for band, tone in enumerate(colour):
        np.copyto(canvas.colour[band][area], tone, where=seen)
    np.copyto(canvas.level[area], height, where=seen)
    np.copyto(canvas.sunlight[area], sunlight, where=seen)
    np.copyto(canvas.labels[area], np.uint8(label), where=seen)


def _roof_look(canvas: Canvas, roof: Roof, area: Area, u: Array, v: Array) -> Look:
    """One roof: its faces in the light they get, courses or seams, stains, windows and edges."""
    from_end, from_eaves = roof.box.length / 2 - np.abs(u), roof.box.width / 2 - np.abs(v)
    edge = np.minimum(from_end, from_eaves)
    lit = _sunlit_faces(roof, canvas.town)
    sides = np.where(v > 0, lit[0], lit[1])
    if roof.kind == "flat":
        height, sunlight = np.full_like(u, roof.eaves), np.ones_like(u)
    elif roof.kind == "gabled":
        height, sunlight = roof.eaves + roof.slope * from_eaves, sides
    else:
        height = roof.eaves + roof.slope * edge
        sunlight = np.where(from_end < from_eaves, np.where(u > 0, lit[2], lit[3]), sides)
    texture = _roof_texture(canvas, roof, area, u, v, edge)
    colour = np.array(roof.colour, np.float32)[:, None, None] * texture
    for panel in roof.panels:
        inside = np.abs(u - np.float32(panel.u)) <= panel.length / 2
        inside &= np.abs(v - np.float32(panel.v)) <= panel.width / 2
        colour[:, inside] = np.array(panel.colour, np.float32)[:, None]
    seen = (edge >= 0) & (height > canvas.level[area])
    return seen, Label.BUILDING, colour, height, sunlight


def _sunlit_faces(roof: Roof, town: Town) -> Array:
    """Direct sun on the faces to +v, -v, +u, -u, relative to level ground (Lambert's cosine)."""
    box, (x, y), steep = roof.box, town.sun, roof.slope / town.elevation
    along, across = steep * (x * box.cos + y * box.sin), steep * (y * box.cos - x * box.sin)
    faces = np.maximum(0.0, (1 + across, 1 - across, 1 + along, 1 - along))
    return np.asarray(faces / (1.0 + roof.slope**2) ** 0.5, np.float32)


def _roof_texture(canvas: Canvas, roof: Roof, area: Area, u: Array, v: Array, edge: Array) -> Array:
    """Relative brightness of the roofing, around 1."""
    tone = 1.0 + roof.wear * (canvas.clump[area] + 0.8 * canvas.patchy[area])
    tone += 0.04 * canvas.grain[1][area] + 0.05 * canvas.fine[area]
    streaks = random_stream(roof.key, 0).uniform(-0.05, 0.05, 64).astype(np.float32)
    if roof.seam:
        # Courses of tiles run along the ridge; streaks are what rain washes down between rafters.
        tone += np.take(streaks, np.floor(u * 1.6).astype(np.int32) & 63)
        course = v * (1.0 / roof.seam)
        course -= np.floor(course)
        tone += np.where(course < 0.4, _f32(-0.13), _f32(0.07))
    elif roof.kind == "flat":
        # Sheets of roofing felt, two metres wide, with a dark welded seam between them.
        sheet = v * 0.5 + 0.3
        number = np.floor(sheet)
        tone += np.take(streaks, number.astype(np.int32) & 63)
        tone += np.where(sheet - number < 0.12, _f32(-0.12), _f32(0.0))
    if roof.kind == "flat":
        # A parapet in the light, and its shadow.
        return tone * np.where(edge < 0.42, _f32(1.2), np.where(edge < 0.7, _f32(0.8), _f32(1.0)))
    tone *= np.where(edge < 0.2, _f32(0.8), _f32(1.0))
    if roof.kind == "gabled":
        tone *= np.where(np.abs(v) < 0.17, _f32(1.14), _f32(1.0))
    return tone


def _car_look(canvas: Canvas, car: Car, area: Area, u: Array, v: Array) -> Look:
    """One car: rounded body, windows round the cabin, light and dark flanks."""
    half, side = car.box.length / 2, car.box.width / 2
    bulge = np.maximum(np.abs(u) - (half - 0.55), 0.0)
    body = (np.abs(u) <= half) & (np.abs(v) <= side - 0.8 * bulge * bulge)
    van = car.height > 2.0
    front, back = (0.62 * half, -0.93 * half) if van else (0.30 * half, -0.70 * half)
    cabin = (u < front) & (u > back)
    screens = (u > front - 0.75) | (u < back + (0.0 if van else 0.6))
    glass = cabin & (screens | (np.abs(v) > side - 0.28))
    # The body curves: the flank towards the sun is brighter, the one away from it darker.
    toward = canvas.town.sun[1] * car.box.cos - canvas.town.sun[0] * car.box.sin
    tone = 1.0 + float(toward) * v * (0.22 / side) + 0.05 * canvas.grain[2][area]
    tone += np.where(cabin, _f32(0.08), _f32(-0.04))
    height = np.where(cabin, _f32(car.height), _f32(min(car.height, 1.0)))
    colour = [
        np.where(glass, _f32(car.glass * (0.9 + 0.06 * band)), paint * tone)
        for band, paint in enumerate(car.colour)
    ]
    return body & (car.height > canvas.level[area]), Label.CAR, colour, height, np.ones_like(u)


def _tree_look(canvas: Canvas, tree: Tree, area: Area, u: Array, v: Array) -> Look:
    """One crown: ragged outline, clumps of leaves, a bright side towards the sun, dark gaps."""
    sun = canvas.town.sun
    clumps = canvas.clump[area] + 0.6 * canvas.fine[area]
    rim = 0.94 + 0.22 * tree.ragged * clumps
    distance = (u * u + v * v) / (rim * rim)
    dome = np.sqrt(np.maximum(1.0 - distance, 0.0))
    if tree.conifer:
        dome = dome * dome
    height = tree.height * (0.42 + 0.58 * dome) + 0.35 * tree.ragged * clumps
    facing = (0.5 if tree.conifer else 0.42) * (sun[0] * u + sun[1] * v)
    sunlight = np.clip(0.86 + facing + 1.25 * canvas.leaf_relief[area], 0.12, 1.7)
    leaf = 0.86 + 0.14 * clumps + 0.11 * canvas.grain[3][area] + 0.12 * dome
    seen = (distance < 1.0) & (height > canvas.level[area])
    return seen, Label.TREE, [band * leaf for band in tree.colour], height, sunlight


_LOOKS: dict[type[Thing], Callable[..., Look]] = {
    Roof: _roof_look,
    Car: _car_look,
    Tree: _tree_look,
}


def shadow_steps(town: Town, ground_sampling: float) -> list[tuple[int, int, float]]:
    """Steps of 1, 2, 4, ... pixels towards the sun: (rows, columns, rise of the ray in metres)."""
    reach = _TALLEST / town.elevation / ground_sampling
    steps: list[tuple[int, int, float]] = []
    while 2 ** len(steps) - 1 < reach:
        length = 2 ** len(steps)
        down, across = round(town.sun[1] * length), round(town.sun[0] * length)
        steps.append((down, across, math.hypot(down, across) * ground_sampling * town.elevation))
    return steps


def cast_shadows(level: Array, steps: Sequence[tuple[int, int, float]]) -> Array:
    """How far each pixel lies in shadow, 0..1.

    A ray from a pixel to the sun rises; the pixel is in shadow where something on its way is
    higher. The highest obstacle over 2k steps is the higher of the first k and the next k, so a few
    doublings cover the whole way.
    """
    obstacle = level.copy()
    height, width = level.shape
    for down, across, rise in steps:
        here = _overlap(height, down), _overlap(width, across)
        there = _overlap(height, -down), _overlap(width, -across)
        # The right-hand side is a copy, so what is written is not read again in this step.
        np.maximum(obstacle[here], obstacle[there] - rise, out=obstacle[here])
    return np.asarray(np.clip((obstacle - level - 0.12) * 2.0, 0.0, 1.0))


def _overlap(size: int, step: int) -> slice:
    """The places from which a step does not lead out of an axis."""
    return slice(max(0, -step), size - max(0, step))


def expose(canvas: Canvas, shadow: Array) -> Array:
    """``(4, height, width)`` grey values: sunlight and skylight, slow illumination, haze, gain."""
    town, direct = canvas.town, canvas.sunlight * (1.0 - shadow)
    slow = [
        smooth_noise(town.seed, 20 + number, canvas.y, canvas.x, wavelength)
        for number, wavelength in enumerate((90.0, 130.0, 150.0, 110.0, 170.0))
    ]
    image = np.empty_like(canvas.colour)
    for band in range(4):
        light = direct * (1.0 - _SKYLIGHT[band]) + _SKYLIGHT[band]
        light *= 1.0 + 0.14 * slow[4] + 0.07 * slow[band]
        light *= canvas.colour[band]
        image[band] = light * town.gain[band] + town.haze[band]
    return image


def develop(image: Array, rows: Array, cols: Array, town: Town) -> NDArray[np.uint8]:
    """8-bit pixels 1..255 after lens blur, which uses up a ring of pixels, and sensor noise."""
    grey = 0.2 * (image[:, :-2] + image[:, 2:]) + 0.6 * image[:, 1:-1]
    grey = 0.2 * (grey[:, :, :-2] + grey[:, :, 2:]) + 0.6 * grey[:, :, 1:-1]
    grey += town.noise * normal_noise(town.seed, 30, rows, cols)
    grey += 0.5
    return np.clip(grey, 1.0, 255.0, out=grey).astype(np.uint8)
