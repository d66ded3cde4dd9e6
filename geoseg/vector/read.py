"""The polygons of a vector file: every one that it holds, and what else was found beside them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from geoseg import ogr
from geoseg.errors import VectorError
from geoseg.geodesy import crs_fault
from geoseg.report import shorten
from geoseg.vector.paths import path_to_read
from geoseg.vector.shapefile_index import refuse_other_index
from geoseg.vector_content import vector_name
from geoseg.warned import hear_warnings

SUFFIXES = frozenset({".gpkg", ".shp", ".geojson", ".json", ".fgb"})
"""What is taken for polygons where a raster or polygons may be named."""
_CONVERT = (
    "save it as a GeoPackage (QGIS: Export > Save Features As; ogr2ogr -f GPKG labels.gpkg {name})"
)
_OTHER_SUFFIXES = {
    ".zip": "unpack it, and name the file inside",
    ".kmz": _CONVERT,
    ".pbf": "save its polygons (ogr2ogr -f GPKG labels.gpkg {name} multipolygons)",
    ".osm": "save its polygons (ogr2ogr -f GPKG labels.gpkg {name} multipolygons)",
} | dict.fromkeys(
    (
        *(".kml", ".gml", ".gdb", ".parquet", ".geoparquet", ".geojsonl", ".geojsons", ".ndjson"),
        *(".topojson", ".tab", ".mif", ".dxf", ".dgn", ".dwg", ".gpx", ".sqlite", ".csv"),
    ),
    _CONVERT,
)
"""What to do with other vector files."""
_COLLECTIONS = (
    shapely.GeometryType.MULTIPOINT,
    shapely.GeometryType.MULTILINESTRING,
    shapely.GeometryType.MULTIPOLYGON,
    shapely.GeometryType.GEOMETRYCOLLECTION,
)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What one layer of a vector file holds."""

    path: Path
    count: int
    """Features in the layer, with polygons or without."""
    with_polygons: int
    """Those of them that hold polygons."""
    polygons: NDArray[np.object_]
    """Single polygons, in file order; those of multipolygons and collections one by one."""
    feature: NDArray[np.int64]
    """The feature that each polygon is of, counted from 0."""
    values: list[Any] | None
    """The attribute that was asked for, of each feature."""
    crs: CRS | None
    """None where the file names none."""
    dropped: dict[str, int]
    """Geometries that hold no area, by their type, also those inside collections."""
    warnings: tuple[str, ...] = ()
    """What a user should know about the file, one line each."""


def refuse_other_vectors(path: Path) -> None:
    """Refuse a vector file of a format that is not read, and say what to do with it.

    Raises:
        VectorError: its suffix says that it is one.
    """
    advice = _OTHER_SUFFIXES.get(path.suffix.lower())
    if advice is not None:
        raise VectorError(f"{path}: {path.suffix} is not read; {advice.format(name=path.name)}")


def read_features(path: Path, layer: str | None = None, attribute: str | None = None) -> Features:
    """All polygons of a layer, as they are in the file.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or FlatGeobuf.
        layer: which one; None: the only one that has geometries.
        attribute: to be read too.

    Raises:
        VectorError: the file cannot be read; has no such layer, or several and none is named; no
            such attribute; features of which none is a polygon; or numbers that are not finite.
    """
    columns = [] if attribute is None else [attribute]
    try:
        with path_to_read(path) as plain, hear_warnings(UserWarning, RuntimeWarning) as caught:
            name = vector_name(path, plain)
            refuse_other_index(path)
            chosen = _choose_layer(path, name, layer)
            facts, _, encoded, fields = ogr.raw.read(
                name, layer=chosen, columns=columns, force_2d=True
            )
            known = ogr.read_info(name, layer=chosen)["fields"].tolist() if columns else []
    except UnboundLocalError as error:  # pyogrio's, of a CRS that GDAL cannot write down
        raise VectorError(
            f"{path}: its coordinate system is damaged; give one with an EPSG code"
        ) from error
    except (ogr.DataSourceError, ogr.DataLayerError, OSError, ValueError) as error:
        if isinstance(error, VectorError):
            raise
        words = " ".join(str(error).split())
        raise VectorError(
            f"{path}: no polygons that can be read ({words}); give GeoPackage or GeoJSON"
        ) from error
    encoded = np.zeros(0, object) if encoded is None else encoded
    if columns and len(encoded) and attribute not in known:
        names = " ".join(shorten(known, 20).split()) or "none: it has no attributes"
        raise VectorError(f"{path}: has no attribute {attribute!r}; choose one of {names}")
    polygons, feature, dropped = _polygons(path, encoded)
    lines = list(dict.fromkeys(f"{path}: {' '.join(text.split())}" for text in caught))
    if dropped:
        lines.append(
            f"{path}: {_listed(dropped)} hold no area and are left out; draw their areas, or leave "
            "them out of the file"
        )
    return Features(
        path,
        len(encoded),
        len(np.unique(feature)),
        polygons,
        feature,
        [value for field in fields for value in field.tolist()] if columns else None,
        _crs_of(path, facts["crs"]),
        dropped,
        tuple(lines),
    )


def _choose_layer(path: Path, name: str, layer: str | None) -> str:
    """The name of the layer to read.

    A table without geometries is none, such as the styles that QGIS saves into a GeoPackage.
    """
    names = [str(name) for name, kind in ogr.list_layers(name) if kind is not None]
    if layer is None and len(names) == 1:
        return names[0]
    if layer is not None and layer in names:
        return layer
    if not names:
        raise VectorError(f"{path}: holds no layer of geometries; give polygons")
    listed = shorten(names, 20)
    if layer is None:
        raise VectorError(
            f"{path}: holds {len(names)} layers ({listed}); name one (--layer NAME, --aoi-layer "
            "NAME, layer: NAME in a config)"
        )
    raise VectorError(f"{path}: has no layer {layer!r}; choose one of {listed}")


def _polygons(
    path: Path, encoded: NDArray[np.object_]
) -> tuple[NDArray[np.object_], NDArray[np.int64], dict[str, int]]:
    """The single polygons, the feature of each, and what else there is, by type."""
    with np.errstate(invalid="ignore"):  # NaN among the coordinates; refused below
        found = shapely.from_wkb(encoded, on_invalid="ignore")
    parts, feature = shapely.get_parts(found, return_index=True)
    while np.isin(shapely.get_type_id(parts), _COLLECTIONS).any():  # one inside another
        parts, origin = shapely.get_parts(parts, return_index=True)
        feature = feature[origin]
    polygonal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    areas = polygonal & ~shapely.is_empty(parts)
    dropped = Counter(part.geom_type for part in parts[~polygonal])
    unreadable = shapely.is_missing(found) & (encoded != None)  # noqa: E711 - of each element
    dropped["unreadable"] = int(unreadable.sum())
    without = set(range(len(encoded))) - set(feature[~shapely.is_empty(parts)].tolist())
    dropped["empty"] = len(without) - dropped["unreadable"]
    dropped = +dropped  # those that there are
    polygons = parts[areas]
    if len(encoded) and not polygons.size:
        raise VectorError(f"{path}: holds {_listed(dropped)} and no polygon; give polygons")
    points, owner = shapely.get_coordinates(polygons, return_index=True)
    wrong = ~np.isfinite(points).all(axis=1)
    if wrong.any():
        number = int(feature[areas][owner[wrong][0]]) + 1
        raise VectorError(
            f"{path}: feature {number} has a coordinate that is not a finite number; correct it"
        )
    return polygons, feature[areas], dict(dropped)


def _listed(dropped: dict[str, int]) -> str:
    """Like ``3 LineString, 1 empty``."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(dropped.items()))


def _crs_of(path: Path, named: str | None) -> CRS | None:
    if named is None:
        return None
    try:
        known = CRS.from_user_input(named)
    except CRSError as error:
        raise VectorError(
            f"{path}: its coordinate system is unknown; give one with an EPSG code"
        ) from error
    if fault := crs_fault(known):
        raise VectorError(
            f"{path}: its coordinate system cannot be used ({fault}); give one with an EPSG code"
        )
    return known
