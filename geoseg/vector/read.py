"""Polygons from a vector file, in the coordinate system of a raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geoseg.errors import VectorError

SUFFIXES = frozenset({".gpkg", ".shp", ".geojson", ".json", ".fgb"})
"""What is taken for polygons where a raster or polygons may be named."""
_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


def read_polygons(path: Path, crs: Any) -> NDArray[np.object_]:
    """The polygons and multipolygons of a file's first layer, in file order.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or FlatGeobuf.
        crs: the coordinate system to return them in, as anything with ``to_wkt``; None leaves them
            as they are, and so does a file that has none.

    Raises:
        VectorError: the file cannot be read, holds no polygons, or its coordinate system cannot be
            turned into `crs`.
    """
    return _read(path, crs, [])[0]


def read_attributed(path: Path, crs: Any, attribute: str) -> tuple[NDArray[np.object_], list[Any]]:
    """The same, with the value of an attribute for each polygon; None where it has none.

    Raises:
        VectorError: likewise, or there is no such attribute.
    """
    polygons, values = _read(path, crs, [attribute])
    return polygons, values[0].tolist()


def _read(
    path: Path, crs: Any, columns: list[str]
) -> tuple[NDArray[np.object_], list[NDArray[Any]]]:
    try:
        facts, _, encoded, fields = pyogrio.raw.read(path, columns=columns, force_2d=True)
        missing = [name for name in columns if name not in facts["fields"]]
        known = ", ".join(pyogrio.read_info(path)["fields"]) if missing else ""
    except (DataSourceError, ValueError) as error:
        words = " ".join(str(error).split())
        raise VectorError(
            f"{path}: no polygons that can be read ({words}); give GeoPackage or GeoJSON"
        ) from error
    if missing:
        raise VectorError(
            f"{path}: has no attribute {missing[0]!r}; "
            f"choose one of {known or 'none: it has no attributes'}"
        )
    found = shapely.from_wkb(encoded)
    areas = np.isin(shapely.get_type_id(found), _AREAS) & ~shapely.is_empty(found)
    polygons: NDArray[np.object_] = found[areas]
    if not polygons.size:
        raise VectorError(f"{path}: holds {found.size} features and no polygon; give polygons")
    values = [field[areas] for field in fields]
    if crs is None or facts["crs"] is None:
        return polygons, values
    return _moved(polygons, path, facts["crs"], crs), values


def _moved(polygons: NDArray[np.object_], path: Path, own: str, crs: Any) -> NDArray[np.object_]:
    try:
        source, target = CRS.from_user_input(own), CRS.from_wkt(crs.to_wkt())
        move = Transformer.from_crs(source, target, always_xy=True)
    except CRSError as error:
        raise VectorError(
            f"{path}: its coordinate system is unknown ({error}); give one with an EPSG code"
        ) from error
    if source == target:
        return polygons
    moved: NDArray[np.object_] = shapely.transform(
        polygons, lambda points: np.column_stack(move.transform(*points.T))
    )
    return moved
