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
        crs: the coordinate system to give them in, as anything with ``to_wkt``; None leaves them as they are, and so
            does a file that names none.

    Raises:
        VectorError: the file cannot be read, holds no polygons, or its coordinate system cannot be turned into `crs`.
    """
    try:
        facts, _, encoded, _ = pyogrio.raw.read(path, columns=[], force_2d=True)
    except (DataSourceError, ValueError) as error:
        words = " ".join(str(error).split())
        raise VectorError(f"{path}: no polygons that can be read ({words}); give GeoPackage or GeoJSON") from error
    found = shapely.from_wkb(encoded)
    polygons: NDArray[np.object_] = found[np.isin(shapely.get_type_id(found), _AREAS) & ~shapely.is_empty(found)]
    if not polygons.size:
        raise VectorError(f"{path}: holds {found.size} features and no polygon; give polygons")
    if crs is None or facts["crs"] is None:
        return polygons
    try:
        source, target = CRS.from_user_input(facts["crs"]), CRS.from_wkt(crs.to_wkt())
        move = Transformer.from_crs(source, target, always_xy=True)
    except CRSError as error:
        raise VectorError(f"{path}: its coordinate system is unknown ({error}); give one with an EPSG code") from error
    if source == target:
        return polygons
    moved: NDArray[np.object_] = shapely.transform(polygons, lambda points: np.column_stack(move.transform(*points.T)))
    return moved
