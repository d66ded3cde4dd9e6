"""What polygonizing returns: regions in pixel coordinates, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import VectorError


@dataclass(frozen=True, slots=True)
class Regions:
    """Some regions of one raster; all arrays have one entry a region."""

    geometry: NDArray[np.object_]
    """Valid polygons in whole pixel coordinates of the whole raster, x = column, y = row."""
    class_id: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    """Number of pixels."""
    confidence_sum: NDArray[np.int64] | None
    """Sum of the confidence, 0..255 a pixel; None where there is none. An integer, so that it does
    not depend on how a raster is cut into parts."""

    def __post_init__(self) -> None:
        sizes = [self.class_id.size, self.pixels.size]
        sizes += [] if self.confidence_sum is None else [self.confidence_sum.size]
        if set(sizes) != {len(self)}:
            raise VectorError(
                f"{len(self)} polygons with {sizes} attributes; give one of each a region"
            )

    def __len__(self) -> int:
        return int(self.geometry.size)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Mean confidence, 0..1; NaN where there is none."""
        if self.confidence_sum is None:
            return np.full(len(self), np.nan)
        return self.confidence_sum / (255.0 * self.pixels)
