"""The ground under everything: patches of asphalt, paving, paint and grass.

Patches write row numbers of a table into an index map; then one pass over the window turns numbers into colours, so
the cost does not grow with the number of patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.scenes.canvas import Canvas, Float, Mask
from geoseg.scenes.things import Patch, Surface


def paint_ground(canvas: Canvas, patches: Sequence[Patch], beneath: Surface) -> None:
    """Lay the patches in the order of their layers over a surface that is everywhere."""
    index = np.zeros(canvas.labels.shape, np.intp)
    table = [beneath]
    rows: dict[Surface, int] = {beneath: 0}
    for patch in sorted(patches, key=lambda patch: patch.layer):
        xs, ys = zip(*patch.corners, strict=True)
        area = canvas.cut((min(xs), min(ys), max(xs), max(ys)))
        if area is None:
            continue
        row = rows.setdefault(patch.surface, len(table))
        if row == len(table):
            table.append(patch.surface)
        np.copyto(index[area], row, where=_within(canvas, area, patch))
    _colour_ground(canvas, index, table)


def _within(canvas: Canvas, area: tuple[slice, slice], patch: Patch) -> Mask:
    """Pixels of an area inside a convex patch, whichever way round its corners run."""
    y, x = canvas.y[area[0]], canvas.x[area[1]]
    corners = patch.corners
    (ax, ay), (bx, by), (cx, cy) = corners[:3]
    turn = 1.0 if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) > 0 else -1.0
    inside = np.ones((len(y), len(x)), np.bool_)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        inside &= (turn * (bx - ax) * (y - ay))[:, None] >= (turn * (by - ay) * (x - ax))[None, :]
    return inside


def _colour_ground(canvas: Canvas, index: NDArray[np.intp], table: list[Surface]) -> None:
    def column(values: list[float]) -> Float:
        return np.take(np.array(values, np.float32), index)

    canvas.labels[:] = np.take(np.array([surface.label for surface in table], np.uint8), index)
    mix = canvas.patchy + np.float32(0.6) * canvas.broad
    mix += np.float32(0.5) * canvas.clump
    mix -= column([surface.threshold for surface in table])
    mix *= column([surface.sharpness for surface in table])
    np.clip(mix, 0.0, 1.0, out=mix)
    texture = column([surface.mottle for surface in table])
    texture *= canvas.fine + np.float32(0.7) * canvas.clump
    grain = column([surface.grain for surface in table])
    for band in range(4):
        tone = column([surface.other[band] - surface.base[band] for surface in table])
        tone *= mix
        tone += column([surface.base[band] for surface in table])
        tone *= np.float32(1.0) + texture + grain * canvas.grain[0]
        canvas.colour[band] = tone
