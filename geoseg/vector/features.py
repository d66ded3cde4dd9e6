"""Regions as the features of a vector layer, in tables of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import VectorError
from geoseg.geodesy import area_rule
from geoseg.vector.polygonize import Regions, to_crs

FIELDS = ("class_id", "class", "area_m2", "confidence")
"""Attributes of every polygon (area in square metres, confidence 0..1); short enough for a
shapefile."""

_ROWS = 65_536
_VERTICES = 1_000_000
"""A table ends when it holds so many rows or vertices (16 MB), so that files are seldom opened."""


@dataclass(frozen=True)
class Layer:
    """The polygons of one raster on their way into a file."""

    name: str
    regions: Iterable[Regions]
    """Consumed once."""
    height: int
    """Of the raster, in pixels."""
    width: int
    """Likewise."""
    transform: Affine
    """Pixel corner to CRS."""
    crs: CRS | None
    classes: ClassScheme


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of a layer."""

    geometry: NDArray[np.object_]
    """Polygons in CRS coordinates, as WKB."""
    columns: Sequence[NDArray[np.int32] | NDArray[np.float64] | NDArray[np.object_]]
    """The attributes in the order of `FIELDS`, one entry per feature. An area without CRS and a
    confidence where there is none are NaN."""
    vertices: int
    rings: int

    def __len__(self) -> int:
        return int(self.geometry.size)


def feature_tables(layer: Layer) -> Iterator[FeatureTable]:
    """The features of a layer in tables of bounded size; at least one table, which may be empty.

    Raises:
        VectorError: a region is of a class that has no name.
    """
    rule = area_rule(layer.transform, layer.crs, layer.height, layer.width)
    names = np.array(layer.classes.names, object)

    def table(batch: list[Regions]) -> FeatureTable:
        class_id = _joined([regions.class_id for regions in batch], np.int32)
        if class_id.size and class_id.max() >= names.size:
            raise VectorError(
                f"labels of class {class_id.max()} in layer {layer.name!r}, "
                f"where {names.size} classes are named; name every class that the labels hold"
            )
        in_pixels = _joined([regions.geometry for regions in batch], object)
        geometry = to_crs(in_pixels, layer.transform)
        pixels = _joined([regions.pixels for regions in batch], np.int64)
        areas = rule.areas(geometry, pixels)
        confidence = _joined([regions.confidence for regions in batch], np.float64)
        return FeatureTable(
            geometry=shapely.to_wkb(geometry),
            columns=[class_id, names[class_id], areas, confidence],
            vertices=int(shapely.get_num_coordinates(geometry).sum()),
            rings=geometry.size + int(shapely.get_num_interior_rings(geometry).sum()),
        )

    batch: list[Regions] = []
    rows = vertices = 0
    written = False
    for regions in layer.regions:
        batch.append(regions)
        rows += len(regions)
        vertices += int(shapely.get_num_coordinates(regions.geometry).sum())
        if rows >= _ROWS or vertices >= _VERTICES:
            yield table(batch)
            batch, rows, vertices, written = [], 0, 0, True
    if batch or not written:
        yield table(batch)


def _joined(arrays: list[NDArray[np.generic]], dtype: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)
