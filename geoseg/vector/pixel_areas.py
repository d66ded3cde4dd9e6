"""What each pixel of a raster measures on the ground, in whole units.

Whole numbers add up to the same sum in any order, so the area of a region does not depend on the
parts that it was counted in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.ellipsoid import Ellipsoid
from geoseg.geodesy import area_rule, ground_sampling
from geoseg.tiling import Window

_STEP = 256
"""Columns from one pixel that is measured to the next; those between are interpolated."""
_UNITS = 2**18
"""Of the pixel at the raster's centre: rounding changes areas by some parts in a million."""


@dataclass(frozen=True, slots=True)
class PixelAreas:
    """The areas of a raster's pixels."""

    unit: float
    """Square metres; NaN without CRS."""
    transform: Affine
    """Pixel corner to CRS."""
    ellipsoid: Ellipsoid | None
    """Where pixels are measured on it; None: each is one unit."""

    @classmethod
    def of(cls, transform: Affine, crs: Any | None, height: int, width: int) -> PixelAreas:
        """Measured as `area_rule` measures polygons.

        Args:
            transform: pixel corner to CRS.
            crs: a rasterio CRS, or None.
            height: of the raster, in pixels.
            width: likewise.
        """
        rule = area_rule(transform, crs, height, width)
        if rule.ellipsoid is None:
            return cls(rule.pixel, transform, None)
        side = ground_sampling(transform, crs, height, width) or np.nan
        return cls(side**2 / _UNITS, transform, rule.ellipsoid)

    def weights(self, window: Window) -> NDArray[np.int64] | None:
        """``(height, width)`` units of each pixel of a window; None: 1 each."""
        ellipsoid = self.ellipsoid
        if ellipsoid is None:
            return None
        first = window.col // _STEP
        steps = np.arange(first, (window.col_end - 1) // _STEP + 2)
        rows = np.arange(window.row, window.row_end + 1)
        left, right = (self._corners(ellipsoid, rows, steps * _STEP + side) for side in (0, 1))
        areas = _quadrangles(left, right) / self.unit
        cols = np.arange(window.col, window.col_end)
        before, part = cols // _STEP - first, cols % _STEP / _STEP
        between = areas[:, before] + (areas[:, before + 1] - areas[:, before]) * part
        # NaN where the projection ends beside the pixel, or before it.
        between = np.where(np.isnan(between), areas[:, before], between)
        return np.rint(np.nan_to_num(between)).astype(np.int64)

    def _corners(
        self, ellipsoid: Ellipsoid, rows: NDArray[np.int64], cols: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """``(2, rows, columns)`` x and y of pixel corners in the equal-area plane."""
        across, down = np.meshgrid(cols.astype(float), rows.astype(float))
        points = np.column_stack(self.transform @ (across.ravel(), down.ravel()))
        with np.errstate(invalid="ignore"):  # NaN beyond the poles
            x, y = ellipsoid.equal_area(*ellipsoid.degrees_of(points))
        return np.stack([x, y]).reshape(2, *across.shape)


def _quadrangles(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas of pixels from their corners: half the cross product of the diagonals."""
    one, other = right[:, 1:] - left[:, :-1], left[:, 1:] - right[:, :-1]
    areas: NDArray[np.float64] = np.abs(one[0] * other[1] - one[1] * other[0]) / 2
    return areas
