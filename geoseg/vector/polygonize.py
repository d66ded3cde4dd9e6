"""What polygonizing gives, regions in pixel coordinates, and the polygons of labels in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoseg.errors import VectorError
from geoseg.vector.components import find_components
from geoseg.vector.outlines import find_corners, outline


@dataclass(frozen=True, slots=True)
class Regions:
    """Some regions of one raster; all arrays have one entry per region."""

    geometry: NDArray[np.object_]
    """Valid polygons in whole pixel coordinates of the whole raster, x = column, y = row."""
    class_id: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    """Number of pixels."""
    confidence_sum: NDArray[np.int64] | None
    """Sum of the confidence, 0..255 per pixel; None where there is none. An integer, so that it
    does not depend on how a raster is cut into parts."""
    last: NDArray[np.int64] | None = None
    """Number of the last pixel (see `geoseg.vector.components`); None: as the polygons, which are
    exact, show it."""

    def __post_init__(self) -> None:
        attributes = (self.class_id, self.pixels, self.confidence_sum, self.last)
        sizes = [values.size for values in attributes if values is not None]
        if set(sizes) != {len(self)}:
            raise VectorError(
                f"{len(self)} polygons with {sizes} attributes; give one of each per region"
            )

    def __len__(self) -> int:
        return int(self.geometry.size)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Mean confidence, 0..1; NaN where there is none."""
        if self.confidence_sum is None:
            return np.full(len(self), np.nan)
        return self.confidence_sum / (255.0 * self.pixels)


@dataclass(frozen=True, slots=True)
class LabelPolygon:
    """One connected region of one class."""

    geometry: shapely.Polygon
    """In CRS coordinates."""
    class_id: int
    pixels: int
    """Number of pixels."""
    confidence: float | None
    """Mean confidence, 0..1; None where no confidence was given."""


def polygonize(
    labels: NDArray[np.uint8], transform: Affine, *, confidence: NDArray[np.uint8] | None = None
) -> list[LabelPolygon]:
    """Outline each region of one class (connectivity 4), in CRS coordinates.

    Rasterizing the polygons gives the labels back exactly. A raster that does not fit into memory
    is cut into parts: see `polygonize_part` and `join_parts`, whose polygons are the same.

    Args:
        labels: ``(height, width)`` class ids; 254 (uncertain) and 255 (nodata) make no polygon.
        transform: pixel corner to CRS, as rasterio gives it.
        confidence: ``(height, width)`` uint8, 255 times the probability of the label.

    Returns:
        The regions in row-major order of their first pixels.

    Raises:
        VectorError: an array is not 2-d uint8, or their shapes differ.
    """
    components = find_components(labels, confidence)
    regions = Regions(
        outline(find_corners(components)),
        components.class_id,
        components.pixels,
        components.confidence_sum,
    )
    return [
        LabelPolygon(geometry, class_id, pixels, None if confidence is None else mean)
        for geometry, class_id, pixels, mean in zip(
            to_crs(regions.geometry, transform),
            regions.class_id.tolist(),
            regions.pixels.tolist(),
            regions.confidence.tolist(),
            strict=True,
        )
    ]


def to_crs(geometry: NDArray[np.object_], transform: Affine) -> NDArray[np.object_]:
    """Geometries in pixel coordinates moved to CRS coordinates.

    Vertices that neighbours share stay bit for bit equal.
    """
    moved: NDArray[np.object_] = shapely.transform(
        geometry, lambda points: np.column_stack(transform @ points.T)
    )
    return moved
