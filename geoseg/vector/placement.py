"""Polygons in any coordinate system onto the pixels of a raster.

A polygon may reach far beyond what the raster's projection can show: a country, an ocean, a pole.
So polygons are cut in a coordinate system in which they are sound, to the raster's area there, and
only the pieces are transformed. An edge is straight in the coordinate system of its file; pieces
get further points where such an edge is curved on the raster.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geoseg.coordinate_systems import crs_name, horizontal_crs, same_crs
from geoseg.errors import VectorError
from geoseg.vector.charts import (
    Chart,
    Grid,
    choose_chart,
    geographic_of,
    period_of,
    transformer,
    turn_of,
)
from geoseg.vector.read import Features

Objects = NDArray[np.object_]
Floats = NDArray[np.float64]

_FLATNESS = 0.05
"""Pixels by which an edge may leave the line that it is straight on."""
_MOST_SEGMENTS = 10_000
"""Of an edge as long as the raster's area: where a projection bends without end, at its poles."""
_GEOGRAPHIC_STEP = 1000.0
"""Metres between points of an edge on its way to longitude and latitude."""
_SLIT = 1e-3
"""Metres that are cut away on both sides of the 180th meridian."""


class Placed(NamedTuple):
    """Pieces of polygons that lie on a grid, in the order of their file."""

    polygons: Objects
    """In pixel coordinates, x = column, y = row; they may reach beyond the grid."""
    feature: NDArray[np.int64]
    """The feature of the file that each is of."""
    beyond: NDArray[np.bool_]
    """Whether it reaches beyond the grid."""


def place(features: Features, grid: Grid) -> Placed:
    """The polygons of a file on a grid.

    Args:
        features: from `read_features`.
        grid: of a raster.

    Raises:
        VectorError: the file names no coordinate system; its own or the raster's does not lie on
            the ground; or the raster reaches where its own has no coordinates.
    """
    if not features.count:
        return _on_grid(features.polygons, features.feature, grid)
    if features.crs is None:
        raise VectorError(
            f"{features.path}: has no coordinate system; add it (a .prj next to a Shapefile), or "
            "save a GeoPackage"
        )
    if same_crs(features.crs, grid.crs):
        return _shifted(features, grid)
    if not all(crs.is_geographic or crs.is_projected for crs in (features.crs, grid.crs)):
        raise _apart(features, grid)
    try:
        chart = choose_chart(horizontal_crs(features.crs), grid)
    except ProjError as error:  # of another planet
        raise _apart(features, grid) from error
    if chart.is_geographic and not features.crs.is_geographic:
        features = _geographic(features)
    pieces, owner = _cut(features, chart)
    step = _step(chart, grid)
    moved = shapely.transform(
        shapely.segmentize(pieces, step), lambda points: grid.to_pixels(chart.to_grid(points))
    )
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise VectorError(
            f"{features.path}: its polygons reach beyond what {crs_name(grid.crs)}, the images' "
            "coordinate system, can show there; give an image that lies inside it"
        )
    return _on_grid(moved, features.feature[owner], grid)


def _apart(features: Features, grid: Grid) -> VectorError:
    return VectorError(
        f"{features.path}: polygons in {crs_name(features.crs)} cannot be brought to "
        f"{crs_name(grid.crs)}; save them in the coordinate system of the images"
    )


def _shifted(features: Features, grid: Grid) -> Placed:
    """Polygons in the raster's own CRS; also a whole turn of the earth to the east or west."""
    corners = np.array([(0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height)])
    west, south, east, north = shapely.total_bounds(
        shapely.multipoints(np.column_stack(grid.transform @ corners.T.astype(float)))
    )
    turn = period_of(grid.crs) or 0.0
    tree = _tree(features)
    pieces, owners = [], []
    for shift in turn * np.arange(-1, 2) if turn else [0.0]:
        hits = np.sort(tree.query(shapely.box(west - shift, south, east - shift, north)))
        pieces.append(_translate(features.polygons[hits], shift))
        owners.append(hits)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    moved = shapely.transform(np.concatenate(pieces)[order], grid.to_pixels)
    return _on_grid(moved, features.feature[owner[order]], grid)


def _cut(features: Features, chart: Chart) -> tuple[Objects, NDArray[np.int64]]:
    """What lies in the chart's area, and the polygon that each piece is of, in file order."""
    west, south, east, north = chart.area
    tree = _tree(features)
    pieces, owners = [], []
    turn = chart.turn or 0.0
    for shift in turn * np.arange(-2, 3) if turn else [0.0]:
        window = shapely.box(west - shift, south, east - shift, north)
        hits = np.sort(tree.query(window))
        sound = _valid(features.polygons[hits])
        torn = ~shapely.covers(window, sound)
        sound[torn] = shapely.intersection(sound[torn], window)
        parts, origin = _polygon_parts(sound)
        pieces.append(_translate(parts, shift))
        owners.append(hits[origin])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(pieces)[order], owner[order]


def _on_grid(polygons: Objects, feature: NDArray[np.int64], grid: Grid) -> Placed:
    """Those that lie on the grid."""
    here = shapely.intersects(polygons, shapely.box(0, 0, grid.width, grid.height))
    bounds = shapely.bounds(polygons[here]).reshape(-1, 4)
    tolerance = 1e-3  # pixels: an edge along the raster's border does not reach beyond it
    low, high = -tolerance, np.array([grid.width, grid.height]) + tolerance
    beyond = (bounds[:, :2] < low).any(axis=1) | (bounds[:, 2:] > high).any(axis=1)
    return Placed(polygons[here], feature[here], beyond)


def _step(chart: Chart, grid: Grid) -> float:
    """The length of segments in the chart that stay straight on the grid, to `_FLATNESS`.

    A segment of length s leaves its chord by up to s^2 / 8 times the second derivative, which is
    looked up all over the area.
    """
    west, south, east, north = chart.area
    samples = 17
    steps = (east - west) / (samples - 1), (north - south) / (samples - 1)
    x, y = np.meshgrid(np.linspace(west, east, samples), np.linspace(south, north, samples))
    points = grid.to_pixels(chart.to_grid(np.column_stack([x.ravel(), y.ravel()])))
    pixels = points.reshape(samples, samples, 2)
    length = max(east - west, north - south)
    along, across = np.diff(pixels, 2, axis=1), np.diff(pixels, 2, axis=0)
    mixed = np.diff(np.diff(pixels, axis=0), axis=1)
    second = sum(
        float(np.abs(part[np.isfinite(part)]).max(initial=0.0)) / scale
        for part, scale in (
            (along, steps[0] ** 2),
            (across, steps[1] ** 2),
            (2 * mixed, steps[0] * steps[1]),
        )
    )
    flat = np.sqrt(8 * _FLATNESS / second) if second else length
    return float(max(flat, length / _MOST_SEGMENTS))


@lru_cache(maxsize=1)
def _tree(features: Features) -> shapely.STRtree:
    return shapely.STRtree(features.polygons)


@lru_cache(maxsize=1)
def _geographic(features: Features) -> Features:
    """The polygons in the longitude and latitude of their own CRS, cut along the 180th meridian."""
    own = horizontal_crs(features.crs)
    base = geographic_of(own)
    move = transformer(own, base)
    unit = own.axis_info[0].unit_conversion_factor
    parts, origin = _slit(features.polygons, own, _SLIT / unit)
    close = shapely.segmentize(parts, _GEOGRAPHIC_STEP / unit)
    moved = shapely.transform(close, lambda points: np.column_stack(move.transform(*points.T)))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise VectorError(
            f"{features.path}: has polygons outside its own coordinate system, {crs_name(own)}; "
            "correct its coordinate system, or leave them out"
        )
    return replace(features, polygons=moved, feature=features.feature[origin], crs=base)


def _slit(polygons: Objects, crs: pyproj.CRS, width: float) -> tuple[Objects, NDArray[np.int64]]:
    """Polygons without what lies on the 180th meridian, and the polygon that each piece is of."""
    base = geographic_of(crs)
    turn = turn_of(base)
    latitude = np.linspace(-turn / 4, turn / 4, 1441)
    seam = []
    for longitude in (turn / 2, -turn / 2):
        line = np.column_stack(transformer(base, crs).transform(latitude * 0 + longitude, latitude))
        back = np.column_stack(transformer(crs, base).transform(*line.T))
        sound = np.isfinite(line).all(axis=1) & (np.abs(back[:, 1] - latitude) < 1e-6 * turn)
        if sound.sum() > 1:
            seam.append(shapely.LineString(line[sound]).buffer(width, cap_style="square"))
    polygons = _valid(polygons)
    for line in seam:
        torn = shapely.intersects(polygons, line)
        polygons[torn] = shapely.difference(polygons[torn], line)
    return _polygon_parts(polygons)


def _valid(polygons: Objects) -> Objects:
    """The same areas, without crossing edges.

    Those cannot be cut, and GEOS's `segmentize` drops what lies beyond a crossing.
    """
    wrong = ~shapely.is_valid(polygons)
    valid = polygons.copy()
    valid[wrong] = shapely.make_valid(polygons[wrong])
    return valid


def _polygon_parts(geometries: Objects) -> tuple[Objects, NDArray[np.int64]]:
    """The polygons in geometries that were cut, and the geometry that each is of."""
    parts, origin = shapely.get_parts(geometries, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)
    areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    areas &= ~shapely.is_empty(parts)
    return parts[areas], origin[inner[areas]]


def _translate(polygons: Objects, shift: float) -> Objects:
    if not shift:
        return polygons
    moved: Objects = shapely.transform(polygons, lambda points: points + np.array([shift, 0.0]))
    return moved
