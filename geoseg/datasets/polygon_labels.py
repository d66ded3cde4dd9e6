"""Polygons burnt onto the grid of an image: a pixel is of the class in whose polygon its centre lies."""

from __future__ import annotations

import glob
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from rasterio.crs import CRS
from rasterio.features import rasterize

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.labels import Labels
from geoseg.errors import ConfigError, SourceError, VectorError
from geoseg.raster import Source, describe_grid
from geoseg.tiling import Window
from geoseg.vector.polygonize import to_crs
from geoseg.vector.read import read_attributed, read_polygons

BACKGROUND = "background"
"""The class of pixels outside all polygons, where the scheme has one of that name; else they have no label."""
_SHOWN = 3
_State = tuple[tuple[str, int, int], ...]


class PolygonLabels(Labels):
    """Polygons in any coordinate system, as labels of one image; where two overlap, the later one in the file counts.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or FlatGeobuf.
        image: gives the grid.
        scheme: the classes.
        attribute: the polygons' attribute that holds a class's name or value; None: all are of the one class that is
            not the background.

    Raises:
        SourceError: the image does not say where it lies.
        VectorError: the polygons cannot be read, name no coordinate system, or hold an unknown class.
    """

    def __init__(
        self, path: Path, image: Source, scheme: ClassScheme, attribute: str | None
    ) -> None:
        if not image.georeferenced or image.crs is None:
            lacks = (
                "its coordinate system by --crs EPSG:N"
                if image.georeferenced
                else "a world file with its place"
            )
            raise SourceError(
                f"{image.path}: {describe_grid(image)} has no place for the polygons of {path.name}; "
                f"give {lacks}, or labels as rasters"
            )
        names = [name.casefold() for name in scheme.names]
        self._outside = names.index(BACKGROUND) if BACKGROUND in names else NODATA
        shapes, ids = _classed_polygons(path, _state(path), image.crs, scheme, attribute)
        corners = ((0, 0), (image.width, 0), (image.width, image.height), (0, image.height))
        footprint = shapely.Polygon([image.transform * corner for corner in corners])
        here = np.flatnonzero(shapely.intersects(shapes, footprint))
        self._shapes = to_crs(shapes[here], ~image.transform)
        self._ids = ids[here]
        self._tree = shapely.STRtree(self._shapes)

    def __len__(self) -> int:
        """How many polygons lie on the image."""
        return len(self._shapes)

    def read(self, window: Window, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Burnt; no label where the image shows nothing, whatever was drawn there."""
        size = (window.height, window.width)
        labels = np.full(size, self._outside, np.uint8)
        here = np.sort(
            self._tree.query(shapely.box(window.col, window.row, window.col_end, window.row_end))
        )
        if here.size:
            # Moved by whole numbers, so that a pixel is burnt alike in whatever window it lies.
            shapes = shapely.transform(
                self._shapes[here], lambda points: points - (window.col, window.row)
            )
            rasterize(zip(shapes, self._ids[here].tolist(), strict=True), out=labels)
        labels[~valid] = NODATA
        return labels

    def close(self) -> None:
        """Nothing is open: the polygons are in memory."""


def _state(path: Path) -> _State:
    """Size and time of a file and of those that belong to it (of a Shapefile four or five)."""
    parts = sorted(path.parent.glob(f"{glob.escape(path.stem)}.*"))
    return tuple((part.name, part.stat().st_size, part.stat().st_mtime_ns) for part in parts)


@lru_cache(maxsize=1)
def _classed_polygons(
    path: Path, _at: _State, crs: CRS, scheme: ClassScheme, attribute: str | None
) -> tuple[NDArray[np.object_], NDArray[np.uint8]]:
    """Polygons and class ids; kept while the file stays as it is, as one usually serves many images."""
    _refuse_unplaced(path)
    if attribute is None:
        polygons = read_polygons(path, crs)
        return polygons, np.full(len(polygons), only_class(scheme), np.uint8)
    polygons, values = read_attributed(path, crs, attribute)
    ids = {value: _class_of(value, scheme) for value in set(values)}
    strangers = Counter(value for value in values if ids[value] is None)
    if strangers:
        shown = ", ".join(
            f"{value!r} ({count} polygons)" for value, count in strangers.most_common(_SHOWN)
        )
        raise VectorError(
            f"{path}: attribute {attribute!r} holds {shown}, which is no class; the classes are "
            f"{', '.join(scheme.names)}: add it to the classes file, as a class or under ignore"
        )
    return polygons, np.array([ids[value] for value in values], np.uint8)


def _refuse_unplaced(path: Path) -> None:
    try:
        facts = pyogrio.read_info(path)
    except (DataSourceError, ValueError):
        return  # reading it says what is wrong
    if facts["crs"] is None:
        raise VectorError(
            f"{path}: names no coordinate system; add it (a .prj beside a Shapefile), or save a GeoPackage"
        )


def only_class(scheme: ClassScheme) -> int:
    """The class that all polygons are of.

    Raises:
        ConfigError: several could be meant.
    """
    candidates = [index for index, name in enumerate(scheme.names) if name.casefold() != BACKGROUND]
    if len(candidates) != 1:
        raise ConfigError(
            f"{len(candidates)} classes ({', '.join(scheme.names)}) and polygons of one kind; "
            "name the attribute that holds the class by --attribute NAME"
        )
    return candidates[0]


def _class_of(value: Any, scheme: ClassScheme) -> int | None:
    """The class id of an attribute's value, a name or one of the label values; 255 if ignored, None if unknown."""
    text = str(value).strip().casefold()
    for index, (name, values) in enumerate(zip(scheme.names, scheme.values, strict=True)):
        if text == name.casefold() or text in _texts(values):
            return index
    return NODATA if text in _texts(scheme.ignore) else None


def _texts(values: tuple[int, ...]) -> set[str]:
    """Whole numbers as attributes show them; a column with gaps holds them as floats."""
    return {form for value in values for form in (str(value), str(float(value)))}
