"""Polygons rasterized as labels: a pixel is of the class whose polygon its centre lies in."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.errors import ConfigError, VectorError
from geoseg.raster import ChangedSourceError, Source
from geoseg.report import shorten
from geoseg.tiling import Window
from geoseg.vector import Features, Grid, Placed, place, read_features

BACKGROUND = "background"
"""The class of pixels outside all polygons, where the scheme has one of that name."""
_SHOWN = 3
_HASHED = 10_000
"""Polygons hashed at once."""
_FileState = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Polygons:
    """A file of polygons that label images."""

    path: Path
    """GeoPackage, Shapefile, GeoJSON or FlatGeobuf, in any coordinate system."""
    attribute: str | None = None
    """Holds a class's name or value; None: all are of the one class besides the background."""
    layer: str | None = None
    """None: the only one that has geometries."""


@dataclass(frozen=True, slots=True)
class SeenPolygons:
    """Polygons as they were once; the counterpart of `geoseg.raster.SeenSource`."""

    polygons: Polygons
    scheme: ClassScheme
    fingerprint: str
    """From `polygons_fingerprint`."""
    state: _FileState
    """Of the file and those beside it."""

    @classmethod
    def at(cls, polygons: Polygons, scheme: ClassScheme) -> SeenPolygons:
        """Polygons as they are now.

        Raises:
            VectorError: they cannot be read, or have an unknown class.
        """
        state = _file_state(polygons.path)
        return cls(polygons, scheme, polygons_fingerprint(polygons, scheme), state)

    def refuse_changed(self, done: str) -> None:
        """Refuse what was read from polygons that have been edited meanwhile.

        Nothing is read as long as the file was not written.

        Args:
            done: what was done with them: "scored" ...

        Raises:
            ChangedSourceError: their areas, classes or coordinate system are others now.
            VectorError: they cannot be read any more, or have an unknown class.
        """
        path = self.polygons.path
        if _file_state(path) == self.state:
            return
        if polygons_fingerprint(self.polygons, self.scheme) != self.fingerprint:
            raise ChangedSourceError(path, done)


class PixelPolygons:
    """Polygons drawn onto the pixels of a raster, window by window; later ones cover earlier ones.

    Args:
        features: the file that holds them.
        raster: gives the grid; it is georeferenced and has a coordinate system.

    Raises:
        VectorError: the polygons name no coordinate system, or cannot be brought to the raster's.
    """

    def __init__(self, features: Features, raster: Source) -> None:
        self._raster = raster.path
        self.features = features
        grid = Grid.of(raster.transform, raster.crs, raster.height, raster.width)
        self.placed: Placed = place(features, grid)
        self._tree = shapely.STRtree(self.placed.polygons)

    @property
    def drawn(self) -> DrawnFeatures:
        """What becomes of the features on this raster."""
        return DrawnFeatures.of(self.features, self.placed, self._raster)

    def draw(self, window: Window, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Set the pixels whose centre a polygon holds to its value; the others stay.

        Args:
            window: which pixels.
            values: one of each feature of the file.
            out: ``(height, width)`` of the window, in a type that rasterio knows.
        """
        bounds = shapely.box(window.col, window.row, window.col_end, window.row_end)
        here = np.sort(self._tree.query(bounds))  # in file order: rasterize lets the last one win
        if here.size:
            # Moved by whole pixels, so that a pixel has one value in whatever window it lies.
            corner = (window.col, window.row)
            polygons = shapely.transform(self.placed.polygons[here], lambda points: points - corner)
            drawn = values[self.placed.feature[here]].tolist()
            rasterize(zip(_as_geojson(polygons), drawn, strict=True), out=out)


class PolygonLabels:
    """Class ids of polygons on the grid of one image; later polygons of a file cover earlier ones.

    Args:
        polygons: the file.
        image: gives the grid; it is georeferenced, as `check_labels` makes sure.
        scheme: the classes.

    Raises:
        VectorError: polygons cannot be read, name no coordinate system, or have an unknown class.
    """

    def __init__(self, polygons: Polygons, image: Source, scheme: ClassScheme) -> None:
        names = [name.casefold() for name in scheme.names]
        self._outside = names.index(BACKGROUND) if BACKGROUND in names else NODATA
        features, self._ids = _read_classed(polygons, _file_state(polygons.path), scheme)
        self._polygons = PixelPolygons(features, image)

    def __len__(self) -> int:
        """The number of features on the image."""
        return len(self.drawn.here)

    @property
    def drawn(self) -> DrawnFeatures:
        """What becomes of the features on this image."""
        return self._polygons.drawn

    def read(self, window: Window) -> NDArray[np.uint8]:
        """``(height, width)`` class ids, 255 where there is no label.

        They do not depend on where the image is valid: callers that read both mask the rest.
        """
        labels = np.full((window.height, window.width), self._outside, np.uint8)
        self._polygons.draw(window, self._ids, labels)
        return labels


def _as_geojson(polygons: NDArray[np.object_]) -> Iterator[dict[str, Any]]:
    """Each polygon as rasterio takes it; shapely, one by one, takes more than twice the time."""
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons)
    rings = [points[start:end].tolist() for start, end in pairwise(ring_starts.tolist())]
    for start, end in pairwise(polygon_starts.tolist()):
        yield {"type": "Polygon", "coordinates": rings[start:end]}


def _only_class(scheme: ClassScheme) -> int:
    """The id of the one class that polygons without an attribute are of.

    Raises:
        ConfigError: several could be meant.
    """
    candidates = [index for index, name in enumerate(scheme.names) if name.casefold() != BACKGROUND]
    if len(candidates) != 1:
        raise ConfigError(
            f"{len(candidates)} classes ({shorten(scheme.names, 20)}) and polygons of one kind; "
            "name the attribute that holds the class (--attribute NAME, or attribute: NAME in a "
            f"config), or give one class besides {BACKGROUND!r}, which is what lies between them"
        )
    return candidates[0]


def _file_state(path: Path) -> _FileState:
    """Name, size and time of a file and of those beside it that belong to it."""
    beside = [path.with_suffix(suffix) for suffix in (".shx", ".dbf", ".prj", ".cpg")]
    parts = [part for part in (path, path.with_name(f"{path.name}-wal"), *beside) if part.exists()]
    return tuple((part.name, part.stat().st_size, part.stat().st_mtime_ns) for part in parts)


@lru_cache(maxsize=1)
def _read_classed(
    polygons: Polygons, _state: _FileState, scheme: ClassScheme
) -> tuple[Features, NDArray[np.uint8]]:
    """A file and the class id of each feature.

    Kept while the file is unchanged, as one often serves many images.
    """
    path, attribute = polygons.path, polygons.attribute
    features = read_features(path, polygons.layer, attribute)
    ids = np.full(features.count, NODATA, np.uint8)
    if features.values is None:
        if features.count:
            ids[:] = _only_class(scheme)
        return features, ids
    drawn = np.unique(features.feature).tolist()
    values = [features.values[feature] for feature in drawn]
    classes = {value: _class_of(value, scheme) for value in set(values)}
    unknown = Counter(value for value in values if classes[value] is None)
    if unknown:
        most = (f"{value!r} ({count} polygons)" for value, count in unknown.most_common(_SHOWN))
        raise VectorError(
            f"{path}: attribute {attribute!r} holds {', '.join(most)}, which is not a class; the "
            f"classes are {shorten(scheme.names, 20)}: add it to the classes, or to ignore"
        )
    ids[drawn] = np.array([classes[value] for value in values], np.uint8)
    return features, ids


def polygons_fingerprint(polygons: Polygons, scheme: ClassScheme) -> str:
    """A hash that changes with the areas, classes and coordinate system of polygons.

    Not with the bytes of their file: a GeoPackage changes when it is only opened, and holds edits
    in a second file for as long as it is open elsewhere.

    Raises:
        VectorError: polygons cannot be read, or have an unknown class.
    """
    features, ids = _read_classed(polygons, _file_state(polygons.path), scheme)
    return _content(features, ids.tobytes())


@lru_cache(maxsize=1)
def _content(features: Features, ids: bytes) -> str:
    crs = None if features.crs is None else features.crs.to_wkt()
    digest = hashlib.sha256(repr((features.count, crs)).encode())
    digest.update(ids)
    digest.update(features.feature.tobytes())
    for first in range(0, len(features.polygons), _HASHED):
        digest.update(b"".join(shapely.to_wkb(features.polygons[first : first + _HASHED])))
    return digest.hexdigest()


def _class_of(value: Any, scheme: ClassScheme) -> int | None:
    """The id of an attribute's value, a name or a label value; 255 if ignored, None if unknown."""
    text = str(value).strip().casefold()
    for index, (name, values) in enumerate(zip(scheme.names, scheme.values, strict=True)):
        if text == name.casefold() or text in _texts(values):
            return index
    return NODATA if text in _texts(scheme.ignore) else None


def _texts(values: tuple[int, ...]) -> set[str]:
    """Whole numbers as attributes show them; a column with gaps holds them as floats."""
    return {text for value in values for text in (str(value), str(float(value)))}
