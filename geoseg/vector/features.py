"""Regions as the features of a vector layer, in tables of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import VectorError
from geoseg.geodesy import area_rule
from geoseg.vector.order import last_corners
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
    class_id: NDArray[np.int32]
    area: NDArray[np.float64]
    """Square metres; NaN without CRS."""
    confidence: NDArray[np.float64]
    """0..1; NaN where there is none."""
    vertices: NDArray[np.int64]
    """Of each polygon."""
    rings: NDArray[np.int64]
    last_corner: NDArray[np.int64]
    """Their place in the order of the file; see `geoseg.vector.order`."""

    def __len__(self) -> int:
        return int(self.geometry.size)

    def columns(self, classes: ClassScheme) -> list[NDArray[Any]]:
        """The attributes in the order of `FIELDS`, one entry per feature."""
        names = np.array(classes.names, object)
        return [self.class_id, names[self.class_id], self.area, self.confidence]

    def chosen(self, index: NDArray[np.int64] | slice) -> FeatureTable:
        """Some of the features."""
        return FeatureTable(*(getattr(self, each.name)[index] for each in fields(self)))

    @classmethod
    def joined(cls, tables: Sequence[FeatureTable]) -> FeatureTable:
        """The features of several tables, one after the other."""
        if not tables:
            kinds = (object, np.int32, np.float64, np.float64, np.int64, np.int64, np.int64)
            return cls(*(np.zeros(0, kind) for kind in kinds))
        columns = [[getattr(table, each.name) for table in tables] for each in fields(cls)]
        return cls(*map(np.concatenate, columns))


def feature_tables(layer: Layer) -> Iterator[FeatureTable]:
    """The features of a layer in tables of bounded size; at least one table, which may be empty.

    Raises:
        VectorError: a region is of a class that has no name.
    """
    rule = area_rule(layer.transform, layer.crs, layer.height, layer.width)
    names = layer.classes.names

    def table(regions: Regions) -> FeatureTable:
        if regions.class_id.size and regions.class_id.max() >= len(names):
            raise VectorError(
                f"labels of class {regions.class_id.max()} in layer {layer.name!r}, "
                f"where {len(names)} classes are named; name every class that the labels hold"
            )
        geometry = to_crs(regions.geometry, layer.transform)
        return FeatureTable(
            geometry=shapely.to_wkb(geometry),
            class_id=regions.class_id.astype(np.int32),
            area=rule.areas(geometry, regions.pixels),
            confidence=regions.confidence,
            vertices=shapely.get_num_coordinates(geometry).astype(np.int64),
            rings=shapely.get_num_interior_rings(geometry).astype(np.int64) + 1,
            last_corner=last_corners(regions.geometry, layer.width),
        )

    return large_tables(map(table, layer.regions))


def large_tables(tables: Iterable[FeatureTable]) -> Iterator[FeatureTable]:
    """The same rows in tables of bounded size; at least one table, which may be empty."""
    batch: list[FeatureTable] = []
    rows = vertices = 0
    written = False
    for table in tables:
        batch.append(table)
        rows += len(table)
        vertices += int(table.vertices.sum())
        if rows >= _ROWS or vertices >= _VERTICES:
            yield FeatureTable.joined(batch)
            batch, rows, vertices, written = [], 0, 0, True
    if batch or not written:
        yield FeatureTable.joined(batch)
