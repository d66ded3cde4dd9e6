"""The arrays of one window of the world while it is being painted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.scenes.chance import gauss_noise, salt, smooth_noise
from geoseg.scenes.things import LOW_VEGETATION, Box

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Canvas:
    """Labels, colours, heights and shading of a window, with the noise fields that textures are made of.

    Pixel (r, c) of the window is pixel (row + r, col + c) of the world; its centre lies at ``x[c], y[r]`` metres.
    Everything painted is a function of these absolute positions, never of where the window begins.
    """

    def __init__(
        self, seed: int, row: int, col: int, height: int, width: int, ground_sampling: float
    ) -> None:
        self.rows = np.arange(row, row + height, dtype=np.int64)
        self.cols = np.arange(col, col + width, dtype=np.int64)
        self.sampling = ground_sampling
        self.y = (self.rows.astype(np.float64) + 0.5) * ground_sampling
        self.x = (self.cols.astype(np.float64) + 0.5) * ground_sampling
        shape = (height, width)
        self.labels = np.full(shape, LOW_VEGETATION, np.uint8)
        self.colour = np.empty((4, *shape), np.float32)
        self.level = np.zeros(shape, np.float32)
        """Height of what stands there above the ground, metres."""
        self.shade = np.ones(shape, np.float32)
        """Direct sunlight on the surface there, relative to level ground; cast shadows not counted."""
        self.grain = gauss_noise(salt(seed, 0), self.rows, self.cols)
        self.fine, self.clump, self.patchy, self.broad = (
            smooth_noise(salt(seed, purpose), self.y, self.x, wavelength)
            for purpose, wavelength in ((1, 0.5), (2, 1.5), (3, 6.0), (4, 28.0))
        )

    def cut(self, bounds: tuple[float, float, float, float]) -> tuple[slice, slice] | None:
        """Rows and columns whose centres lie in ``(left, top, right, bottom)`` metres, None where there are none."""
        left, right = np.searchsorted(self.x, (bounds[0], bounds[2]))
        top, bottom = np.searchsorted(self.y, (bounds[1], bounds[3]))
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def local(self, box: Box, area: tuple[slice, slice]) -> tuple[Float, Float]:
        """Box coordinates (u along the length, v along the width) of the pixels of an area, metres."""
        x = self.x[area[1]] - box.x
        y = self.y[area[0]] - box.y
        u = (x * box.cos)[None, :] + (y * box.sin)[:, None]
        v = (y * box.cos)[:, None] - (x * box.sin)[None, :]
        return u.astype(np.float32), v.astype(np.float32)
