"""From things to pixels: roofs, cars and trees painted on a canvas.

Each is painted only where it is higher than what stands there already, so the order does not matter.
"""

from __future__ import annotations

import numpy as np

from geoseg.scenes.canvas import Canvas, Float
from geoseg.scenes.chance import stream
from geoseg.scenes.things import BUILDING, CAR, TREE, Car, Roof, Tree

BUMP = 0.35
"""Size of the leaf clumps whose bright and dark sides are painted, metres."""


def paint_roof(canvas: Canvas, roof: Roof, sun: tuple[float, float], elevation: float) -> None:
    """One roof: its faces in the light they get, its courses or seams, stains, windows and edges."""
    area = canvas.cut(roof.box.bounds())
    if area is None:
        return
    u, v = canvas.local(roof.box, area)
    half, side = np.float32(roof.box.length / 2), np.float32(roof.box.width / 2)
    from_end, from_eaves = half - np.abs(u), side - np.abs(v)
    edge = np.minimum(from_end, from_eaves)
    lit = _roof_light(roof, sun, elevation)
    if roof.kind == "flat":
        height = np.full_like(u, roof.eaves)
        shade = np.full_like(u, 1.0)
    elif roof.kind == "gabled":
        height = np.float32(roof.eaves) + np.float32(roof.slope) * from_eaves
        shade = np.where(v > 0, np.float32(lit[0]), np.float32(lit[1]))
    else:
        height = np.float32(roof.eaves) + np.float32(roof.slope) * edge
        ends = np.where(u > 0, np.float32(lit[2]), np.float32(lit[3]))
        shade = np.where(
            from_end < from_eaves, ends, np.where(v > 0, np.float32(lit[0]), np.float32(lit[1]))
        )
    seen = (edge >= 0) & (height > canvas.level[area])
    tone = _roof_texture(canvas, roof, area, u, v, edge)
    for band in range(4):
        face = np.float32(roof.colour[band]) * tone
        for panel in roof.panels:
            inside = np.abs(u - np.float32(panel.u)) <= panel.length / 2
            inside &= np.abs(v - np.float32(panel.v)) <= panel.width / 2
            np.copyto(face, np.float32(panel.colour[band]), where=inside)
        np.copyto(canvas.colour[band][area], face, where=seen)
    np.copyto(canvas.level[area], height, where=seen)
    np.copyto(canvas.shade[area], shade, where=seen)
    np.copyto(canvas.labels[area], np.uint8(BUILDING), where=seen)


def _roof_light(
    roof: Roof, sun: tuple[float, float], elevation: float
) -> tuple[float, float, float, float]:
    """Direct sun on the faces towards +v, -v, +u, -u, relative to level ground (Lambert's cosine)."""
    toward_u = sun[0] * roof.box.cos + sun[1] * roof.box.sin
    toward_v = sun[1] * roof.box.cos - sun[0] * roof.box.sin
    flat = 1.0 / (1.0 + roof.slope**2) ** 0.5
    across, along = roof.slope * toward_v / elevation, roof.slope * toward_u / elevation
    faces = (1 + across, 1 - across, 1 + along, 1 - along)
    lit = [max(0.0, face) * flat for face in faces]
    return lit[0], lit[1], lit[2], lit[3]


def _roof_texture(
    canvas: Canvas, roof: Roof, area: tuple[slice, slice], u: Float, v: Float, edge: Float
) -> Float:
    """Relative brightness of the roofing, around 1."""
    tone = np.float32(1.0) + np.float32(roof.wear) * (
        canvas.clump[area] + np.float32(0.8) * canvas.patchy[area]
    )
    tone += np.float32(0.04) * canvas.grain[1][area] + np.float32(0.05) * canvas.fine[area]
    streaks = stream(roof.key, 0).uniform(-0.05, 0.05, 64).astype(np.float32)
    if roof.seam:
        # Tile courses run along the ridge; a streak is what rain has washed down between two rafters.
        tone += np.take(streaks, np.floor(u * np.float32(1.6)).astype(np.int32) & 63)
        course = v * np.float32(1.0 / roof.seam)
        course -= np.floor(course)
        tone += np.where(course < 0.4, np.float32(-0.13), np.float32(0.07))
    if roof.kind == "flat":
        if not roof.seam:
            # Sheets of roofing felt, two metres wide, with a dark welded seam between them.
            sheet = v * np.float32(0.5) + np.float32(0.3)
            number = np.floor(sheet)
            tone += np.take(streaks, number.astype(np.int32) & 63)
            tone += np.where(sheet - number < 0.12, np.float32(-0.12), np.float32(0.0))
        np.multiply(tone, np.float32(1.2), out=tone, where=edge < 0.42)
        np.multiply(tone, np.float32(0.8), out=tone, where=(edge >= 0.42) & (edge < 0.7))
    else:
        np.multiply(tone, np.float32(0.8), out=tone, where=edge < 0.2)
        if roof.kind == "gabled":
            np.multiply(tone, np.float32(1.14), out=tone, where=np.abs(v) < 0.17)
    return tone


def paint_car(canvas: Canvas, car: Car, sun: tuple[float, float]) -> None:
    """One car: rounded body, windows round the cabin, light and dark flanks."""
    area = canvas.cut(car.box.bounds())
    if area is None:
        return
    u, v = canvas.local(car.box, area)
    half, side = car.box.length / 2, car.box.width / 2
    bulge = np.maximum(np.abs(u) - np.float32(half - 0.55), 0.0)
    body = (np.abs(u) <= half) & (np.abs(v) <= np.float32(side) - np.float32(0.8) * bulge * bulge)
    seen = body & (np.float32(car.height) > canvas.level[area])
    van = car.height > 2.0
    front, back = (0.62 * half, -0.93 * half) if van else (0.30 * half, -0.70 * half)
    cabin = (u < front) & (u > back)
    glass = cabin & (
        (u > front - 0.75) | (u < back + (0.0 if van else 0.6)) | (np.abs(v) > side - 0.28)
    )
    # The body curves: the flank towards the sun is brighter, the one away from it darker.
    toward = np.float32(sun[1] * car.box.cos - sun[0] * car.box.sin)
    tone = (
        np.float32(1.0)
        + toward * v * np.float32(0.22 / side)
        + np.float32(0.05) * canvas.grain[2][area]
    )
    tone += np.where(cabin, np.float32(0.08), np.float32(-0.04))
    level = np.where(cabin, np.float32(car.height), np.float32(min(car.height, 1.0)))
    for band in range(4):
        paint = np.float32(car.colour[band]) * tone
        np.copyto(paint, np.float32(car.glass * (0.9 + 0.06 * band)), where=glass)
        np.copyto(canvas.colour[band][area], paint, where=seen)
    np.copyto(canvas.level[area], level, where=seen)
    np.copyto(canvas.shade[area], np.float32(1.0), where=seen)
    np.copyto(canvas.labels[area], np.uint8(CAR), where=seen)


def paint_tree(canvas: Canvas, tree: Tree, sun: tuple[float, float], bumps: Float) -> None:
    """One crown: ragged outline, clumps of leaves, a bright side towards the sun and dark gaps."""
    reach = tree.radius * 1.25
    area = canvas.cut((tree.x - reach, tree.y - reach, tree.x + reach, tree.y + reach))
    if area is None:
        return
    x = ((canvas.x[area[1]] - tree.x) / tree.radius).astype(np.float32)[None, :]
    y = ((canvas.y[area[0]] - tree.y) / tree.radius).astype(np.float32)[:, None]
    clumps = canvas.clump[area] + np.float32(0.6) * canvas.fine[area]
    rim = np.float32(0.94) + np.float32(0.22 * tree.ragged) * clumps
    distance = (x * x + y * y) / (rim * rim)
    dome = np.sqrt(np.maximum(np.float32(1.0) - distance, 0.0))
    if tree.conifer:
        dome = dome * dome
    height = np.float32(tree.height) * (np.float32(0.42) + np.float32(0.58) * dome)
    height += np.float32(0.35 * tree.ragged) * clumps
    seen = (distance < 1.0) & (height > canvas.level[area])
    slope = np.float32(sun[0]) * x + np.float32(sun[1]) * y
    shade = (
        np.float32(0.86)
        + np.float32(0.5 if tree.conifer else 0.42) * slope
        + np.float32(1.25) * bumps[area]
    )
    np.clip(shade, 0.12, 1.7, out=shade)
    leaf = np.float32(0.86) + np.float32(0.14) * clumps + np.float32(0.11) * canvas.grain[3][area]
    leaf += np.float32(0.12) * dome
    for band in range(4):
        np.copyto(canvas.colour[band][area], np.float32(tree.colour[band]) * leaf, where=seen)
    np.copyto(canvas.level[area], height, where=seen)
    np.copyto(canvas.shade[area], shade, where=seen)
    np.copyto(canvas.labels[area], np.uint8(TREE), where=seen)


def leaf_bumps(canvas: Canvas, sun: tuple[float, float]) -> Float:
    """How much the clumps of a crown face the sun: the clump noise minus itself a step away from the sun."""
    step = BUMP / canvas.sampling
    down, across = round(-sun[1] * step), round(-sun[0] * step)
    relief = canvas.clump + np.float32(0.6) * canvas.fine
    return relief - shifted(relief, -down, -across)


def shifted(field: Float, down: int, across: int) -> Float:
    """The field's values `down` rows and `across` columns away; beyond the window its border is repeated."""
    rows = np.clip(np.arange(field.shape[0]) + down, 0, field.shape[0] - 1)
    cols = np.clip(np.arange(field.shape[1]) + across, 0, field.shape[1] - 1)
    return np.take(field[rows], cols, axis=1)
