"""Where a survey ends: a frayed line along the sides of a scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.scenes.chance import salt, smooth_noise

SIDES = ("top", "left", "bottom", "right")


class Edge:
    """The ragged sides of one scene; their depth follows the world, so it goes on in the scene next door."""

    def __init__(
        self, seed: int, origin: tuple[int, int], shape: tuple[int, int], sides: Sequence[str]
    ) -> None:
        self._depths = {}
        deepest = max(4.0, min(90.0, 0.06 * min(shape)))
        for number, side in enumerate(SIDES):
            axis = 1 if side in ("top", "bottom") else 0
            along = np.arange(origin[axis], origin[axis] + shape[axis], dtype=np.float64)
            line = np.zeros(1)
            wander = [
                smooth_noise(
                    salt(seed, 40 + number), line, np.floor(along / step) * step, wavelength
                )[0]
                for step, wavelength in ((1, 420.0), (16, 48.0), (2, 6.0))
            ]
            depth = deepest * (0.45 + 0.4 * wander[0] + 0.2 * wander[1] + 0.04 * wander[2])
            self._depths[side] = np.maximum(depth, 0.0) if side in sides else np.zeros(len(along))
        self._shape = shape

    def outside(self, row: int, col: int, height: int, width: int) -> NDArray[np.bool_]:
        """``(height, width)``: True where a window of the scene has no image."""
        rows, cols = np.arange(row, row + height)[:, None], np.arange(col, col + width)[None, :]
        across, down = slice(col, col + width), slice(row, row + height)
        return np.asarray(
            (rows < self._depths["top"][None, across])
            | (self._shape[0] - 1 - rows < self._depths["bottom"][None, across])
            | (cols < self._depths["left"][down, None])
            | (self._shape[1] - 1 - cols < self._depths["right"][down, None])
        )
