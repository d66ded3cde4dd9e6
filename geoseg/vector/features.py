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
from geoseg.errors import ConfigError, VectorError
from geoseg.geodesy import area_rule
from geoseg.styles import hex_of
from geoseg.vector.order import last_corners
from geoseg.vector.polygonize import Regions, to_crs

FIELDS = ("class_id", "class", "area_m2", "confidence")
"""Attributes of every polygon (area in square metres, confidence 0..1)."""
EXTRA_FIELDS = ("perimeter_m", "color")
"""Attributes on demand: metres, holes included; ``#rrggbb``."""
COLUMNS = {
    "class_id": "int32",
    "class": "text",
    "area_m2": "float64",
    "confidence": "float64",
    "perimeter_m": "float64",
    "color": "text",
}
"""What they hold; their names are short enough for a shapefile."""

_ROWS = 65_536
_VERTICES = 1_000_000
"""A table ends when it holds so many rows or vertices (16 MB), so that files are seldom opened."""


def check_attributes(names: Sequence[str]) -> None:
    """Refuse what is no attribute on demand.

    Raises:
        ConfigError: a name is none of `EXTRA_FIELDS`.
    """
    for name in names:
        if name not in EXTRA_FIELDS:
            raise ConfigError(
                f"attributes {name!r}: polygons have {', '.join(FIELDS)} anyway; "
                f"choose from {', '.join(EXTRA_FIELDS)}"
            )


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
    legend: Sequence[int] = ()
    """Classes that its style lists even where no polygon is of them."""
    attributes: Sequence[str] = ()
    """Of `EXTRA_FIELDS`."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The attributes of its polygons, in their order."""
        return (*FIELDS, *(name for name in EXTRA_FIELDS if name in self.attributes))


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
    perimeter: NDArray[np.float64]
    """Metres, of holes too; NaN without CRS, and where the layer does not have it."""
    vertices: NDArray[np.int64]
    """Of each polygon."""
    rings: NDArray[np.int64]
    last_corner: NDArray[np.int64]
    """Their place in the order of the file; see `geoseg.vector.order`."""

    def __len__(self) -> int:
        return int(self.geometry.size)

    def columns(self, layer: Layer) -> dict[str, NDArray[Any]]:
        """The attributes by their names, as the layer has them."""
        colors = np.array([hex_of(color) for color in layer.classes.colors], object)
        values = {
            "class_id": self.class_id,
            "class": np.array(layer.classes.names, object)[self.class_id],
            "area_m2": self.area,
            "confidence": self.confidence,
            "perimeter_m": self.perimeter,
            "color": colors[self.class_id],
        }
        return {name: values[name] for name in layer.fields}

    def chosen(self, index: NDArray[np.int64] | slice) -> FeatureTable:
        """Some of the features."""
        return FeatureTable(*(getattr(self, each.name)[index] for each in fields(self)))

    @classmethod
    def joined(cls, tables: Sequence[FeatureTable]) -> FeatureTable:
        """The features of several tables, one after the other."""
        if not tables:
            kinds = (object, np.int32, *3 * (np.float64,), *3 * (np.int64,))
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
            area=rule.areas(geometry, shapely.area(regions.geometry)),  # of pixels
            confidence=regions.confidence,
            perimeter=rule.perimeters(geometry)
            if "perimeter_m" in layer.attributes
            else np.full(len(geometry), np.nan),
            vertices=shapely.get_num_coordinates(geometry).astype(np.int64),
            rings=shapely.get_num_interior_rings(geometry).astype(np.int64) + 1,
            last_corner=last_corners(regions, layer.width),
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
