"""Polygons of vector files that touch a rectangle of a map, as GeoJSON in its CRS."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely

from geoseg import ogr
from geoseg.coordinate_systems import same_crs
from geoseg.errors import VectorError
from geoseg.vector.paths import path_to_read
from geoseg.vector_content import vector_name
from geoseg.viewing.placed import NOWHERE, Bounds

MOST = 2000
"""Polygons that are drawn at once."""


@dataclass(frozen=True, slots=True)
class PolygonFile:
    """A vector file and where it lies."""

    path: Path
    layer: str
    crs: str | None
    """As text; None: it has none."""
    bounds: Bounds

    @classmethod
    def at(cls, path: Path) -> PolygonFile | None:
        """The polygons in a file; None where it holds none.

        Raises:
            VectorError: it cannot be read.
        """
        with _named(path) as name:
            layer = str(ogr.list_layers(name)[0][0])  # the styles of a GeoPackage come last
            info = ogr.read_info(name, layer=layer, force_total_bounds=True)
        bounds = info["total_bounds"]
        return None if bounds is None else cls(path, layer, info["crs"], tuple(bounds))


def polygons_in(
    files: Sequence[PolygonFile], crs: Any, shown: Bounds, tolerance: float = 0.0
) -> dict[str, Any]:
    """The polygons that touch a rectangle.

    Args:
        files: of the map.
        crs: of the map, of rasterio.
        shown: the rectangle, in this CRS; of one point: the polygons there.
        tolerance: by which outlines may move to have fewer vertices, in units of the CRS.

    Returns:
        A FeatureCollection; ``complete`` says whether these are all.

    Raises:
        VectorError: a file cannot be read.
    """
    features: list[dict[str, Any]] = []
    complete = True
    left, bottom, right, top = shown
    area = shapely.box(*shown) if left < right and bottom < top else shapely.Point(left, bottom)
    for file in files:
        ways = _ways(file.crs, crs.to_wkt(), is_nowhere=crs == NOWHERE)
        bounds = shown if ways is None else ways[0](shown)
        if not shapely.box(*file.bounds).intersects(shapely.box(*bounds).envelope):
            continue
        for geometry, fields in _read(file, bounds, MOST - len(features) + 1):
            drawn = geometry if ways is None else shapely.transform(geometry, ways[1])
            if not area.intersects(drawn):
                continue
            if len(features) == MOST:
                complete = False
                break
            features.append(_feature(drawn, fields, tolerance))
    return {"type": "FeatureCollection", "complete": complete, "features": features}


@contextmanager
def _named(path: Path) -> Iterator[str]:
    """The name under which a file is read.

    Raises:
        VectorError: it cannot be.
    """
    try:
        with path_to_read(path) as plain:
            yield vector_name(path, plain)
    except (ogr.DataSourceError, ogr.DataLayerError) as error:
        raise VectorError(f"{path}: polygons cannot be read ({error}); make it anew") from error


def _read(file: PolygonFile, bounds: Bounds, most: int) -> list[tuple[Any, dict[str, Any]]]:
    """The first polygons whose bounds touch others, and their fields."""
    with _named(file.path) as name:
        meta, _, geometry, values = ogr.raw.read(
            name, layer=file.layer, bbox=bounds, max_features=most
        )
    rows = zip(*(each.tolist() for each in values), strict=True)
    named = [dict(zip(meta["fields"].tolist(), row, strict=True)) for row in rows]
    return list(zip(shapely.from_wkb(geometry), named, strict=True))


def _feature(geometry: Any, fields: dict[str, Any], tolerance: float) -> dict[str, Any]:
    drawn = shapely.simplify(geometry, tolerance) if tolerance > 0 else geometry
    known = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in fields.items()
    }
    return {"type": "Feature", "properties": known, "geometry": shapely.geometry.mapping(drawn)}


@cache
def _ways(own: str | None, of_map: str, *, is_nowhere: bool) -> tuple[Any, Any] | None:
    """Of bounds from the map to a file, and of points back; None where nothing is to be done."""
    if is_nowhere:  # rows go down there
        return _turned_bounds, lambda points: points * (1, -1)
    if own is None:
        return None
    file, shown = pyproj.CRS.from_user_input(own), pyproj.CRS.from_wkt(of_map)
    if same_crs(file, shown):
        return None
    there = pyproj.Transformer.from_crs(shown, file, always_xy=True)
    back = pyproj.Transformer.from_crs(file, shown, always_xy=True)
    return (
        lambda bounds: there.transform_bounds(*bounds),
        lambda points: np.column_stack(back.transform(*points.T)),
    )


def _turned_bounds(bounds: Bounds) -> Bounds:
    left, bottom, right, top = bounds
    return left, -top, right, -bottom
