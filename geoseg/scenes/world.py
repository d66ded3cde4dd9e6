"""Any window of any world: what stands there, painted, lit and labelled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ISPRS, ClassScheme
from geoseg.errors import ConfigError
from geoseg.scenes import palette
from geoseg.scenes.blocks import block_content
from geoseg.scenes.canvas import Canvas
from geoseg.scenes.chance import stream
from geoseg.scenes.ground import paint_ground
from geoseg.scenes.light import cast_shadows, develop, expose, shadow_margin
from geoseg.scenes.paint import BUMP, leaf_bumps, paint_car, paint_roof, paint_tree
from geoseg.scenes.streets import node, street_content
from geoseg.scenes.things import Content
from geoseg.scenes.town import Town, town_of

CLASSES = ClassScheme(ISPRS.names[:5], ISPRS.colors[:5], ISPRS.values[:5])
"""Impervious surfaces, building, low vegetation, tree, car: the ISPRS classes without clutter."""
BANDS = ("near-infrared", "red", "green", "blue")
GROUND_SAMPLING = 0.15
"""Metres a pixel by default: a car is 30 x 12 pixels, so a network of stride 8 can still tell its width."""
_OVERHANG = 14.0
"""No thing reaches further than this beyond the four nodes of its cell, metres."""


def render(
    seed: int,
    row: int,
    col: int,
    height: int,
    width: int,
    *,
    ground_sampling: float = GROUND_SAMPLING,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A window of the world `seed`: the same pixels, bit for bit, in whatever windows it is asked for.

    Args:
        seed: the world; towns differ in plan, density, materials, season, light and camera.
        row: first row of the window in the world, may be negative.
        col: first column.
        height: rows.
        width: columns.
        ground_sampling: metres a pixel, 0.05 to 0.5.

    Returns:
        ``(image, labels)``: ``(4, height, width)`` uint8 near-infrared, red, green, blue, each 1..255, and
        ``(height, width)`` uint8 ids of `CLASSES`.

    Raises:
        ConfigError: the seed is negative, the window is empty, or the ground sampling is out of range.
    """
    _check(seed, height, width, ground_sampling)
    town = town_of(seed)
    beyond = 2 + math.ceil(BUMP / ground_sampling)
    top, left, bottom, right = (margin + beyond for margin in shadow_margin(town, ground_sampling))
    canvas = Canvas(
        seed, row - top, col - left, height + top + bottom, width + left + right, ground_sampling
    )
    content = _content(town, canvas)
    paint_ground(canvas, content.patches, palette.lawn(stream(seed, 8), town))
    for roof in content.roofs:
        paint_roof(canvas, roof, town.sun, town.elevation)
    for car in content.cars:
        paint_car(canvas, car, town.sun)
    bumps = leaf_bumps(canvas, town.sun)
    for tree in content.trees:
        paint_tree(canvas, tree, town.sun, bumps)
    shadow = cast_shadows(canvas.level, town, ground_sampling)
    rows, cols = slice(top, top + height), slice(left, left + width)
    ring = (slice(None), slice(top - 1, top + height + 1), slice(left - 1, left + width + 1))
    image = develop(expose(canvas, shadow, town)[ring], canvas.rows[rows], canvas.cols[cols], town)
    return image, canvas.labels[rows, cols].copy()


def _content(town: Town, canvas: Canvas) -> Content:
    """Everything in all cells that can reach into the canvas, in an order that does not depend on the canvas."""
    left, right = canvas.x[0] - _OVERHANG, canvas.x[-1] + _OVERHANG
    top, bottom = canvas.y[0] - _OVERHANG, canvas.y[-1] + _OVERHANG
    corners = [(x, y) for x in (left, right) for y in (top, bottom)]
    cos, sin = math.cos(town.angle), math.sin(town.angle)
    across = [(x * cos + y * sin) / town.cell[0] for x, y in corners]
    down = [(y * cos - x * sin) / town.cell[1] for x, y in corners]
    gathered = Content()
    # Nodes are moved by up to 0.13 of a cell, and a cell reaches one node further than its index.
    for j in range(math.floor(min(down) - 1.2), math.ceil(max(down) + 0.2) + 1):
        for i in range(math.floor(min(across) - 1.2), math.ceil(max(across) + 0.2) + 1):
            xs, ys = zip(
                *(node(town, i + one, j + other) for one in (0, 1) for other in (0, 1)), strict=True
            )
            if max(xs) < left or min(xs) > right or max(ys) < top or min(ys) > bottom:
                continue
            for content in (block_content(town, i, j), street_content(town, i, j)):
                gathered.patches += content.patches
                gathered.roofs += content.roofs
                gathered.trees += content.trees
                gathered.cars += content.cars
    return gathered


def _check(seed: int, height: int, width: int, ground_sampling: float) -> None:
    if seed < 0:
        raise ConfigError(f"seed={seed} is negative; give a whole number from 0 on")
    if height < 1 or width < 1:
        raise ConfigError(
            f"a window of {height} x {width} pixels holds nothing; give at least 1 x 1"
        )
    if not 0.05 <= ground_sampling <= 0.5:
        raise ConfigError(
            f"ground_sampling={ground_sampling} m is out of range; scenes are made for 0.05 to 0.5 m"
        )
