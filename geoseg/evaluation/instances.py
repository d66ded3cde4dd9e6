"""Objects for the scale-sensitive IoU, strip by strip, from a raster of object numbers or from polygons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoseg.classes import CITYSCAPES, ClassScheme
from geoseg.errors import SourceError
from geoseg.metrics import ObjectCounter
from geoseg.raster import Reader, Source, describe_grid, open_raster, same_grid
from geoseg.vector.polygonize import to_crs
from geoseg.vector.read import SUFFIXES, read_polygons

Ints = NDArray[np.int64]

_FIRST_INSTANCE = 1000
"""Cityscapes writes ``1000 * labelId + k`` for an object, and the plain ``labelId`` for stuff and groups."""


class Objects(ABC):
    """Numbered objects on the grid of a reference."""

    @abstractmethod
    def read(self, row: int, height: int) -> Ints:
        """``(height, width)`` int64 of full-width rows: an object's number, 0 where there is none."""

    @abstractmethod
    def counter(self) -> ObjectCounter:
        """What counts these objects."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


def open_objects(path: Path, reference: Source, scheme: ClassScheme) -> Objects:
    """The objects of a file, on the reference's grid.

    Polygons (GeoPackage, Shapefile, GeoJSON, FlatGeobuf, in any CRS) are numbered by their order; where two overlap,
    the later one has the pixels. A raster holds a positive number an object; where it is called ``*_instanceIds`` or
    the classes are Cityscapes', it holds that data set's ``instanceIds``.

    Raises:
        SourceError: the raster does not lie on the reference's grid, or holds no whole numbers.
        VectorError: the polygons cannot be read.
    """
    if path.suffix.lower() in SUFFIXES:
        return _Polygons(path, reference)
    source = open_raster(path)
    if len(source.bands) != 1 or np.dtype(source.dtype).kind not in "iu":
        raise SourceError(
            f"{path}: {len(source.bands)} band(s) of {source.dtype} are no objects; give one band of whole numbers, or "
            "polygons"
        )
    if not same_grid(source, reference):
        raise SourceError(
            f"{path}: {describe_grid(source)} do not lie on the grid of {reference.path} ({describe_grid(reference)}); "
            "give objects of the same pixels, or polygons"
        )
    cityscapes = path.stem.endswith("_instanceIds") or scheme == CITYSCAPES
    return _CityscapesRaster(source, scheme) if cityscapes else _Raster(source)


class _Raster(Objects):
    def __init__(self, source: Source) -> None:
        self._reader: Reader = source.open()
        self._width = source.width

    def read(self, row: int, height: int) -> Ints:
        (numbers,), valid = self._reader.read(row, 0, height, self._width)
        return np.where(valid, numbers, 0).astype(np.int64)

    def counter(self) -> ObjectCounter:
        return ObjectCounter()

    def close(self) -> None:
        self._reader.close()


class _CityscapesRaster(_Raster):
    def __init__(self, source: Source, scheme: ClassScheme) -> None:
        super().__init__(source)
        self._class_of = {
            value: index for index, values in enumerate(scheme.values) for value in values
        }

    def read(self, row: int, height: int) -> Ints:
        numbers = super().read(row, height)
        return np.where(numbers >= _FIRST_INSTANCE, numbers, 0)

    def counter(self) -> ObjectCounter:
        def class_of(numbers: Ints) -> Ints:
            return np.array(
                [self._class_of.get(value, -1) for value in (numbers // _FIRST_INSTANCE).tolist()],
                np.int64,
            )

        return ObjectCounter(class_of)


class _Polygons(Objects):
    def __init__(self, path: Path, reference: Source) -> None:
        if not reference.georeferenced:
            raise SourceError(
                f"{reference.path}: {describe_grid(reference)} has no place for the polygons of {path}; "
                "give a raster of object numbers"
            )
        self._width = reference.width
        self._shapes = to_crs(read_polygons(path, reference.crs), ~reference.transform)
        self._tree = shapely.STRtree(self._shapes)

    def read(self, row: int, height: int) -> Ints:
        here = np.sort(self._tree.query(shapely.box(0, row, self._width, row + height)))
        if not here.size:
            return np.zeros((height, self._width), np.int64)
        # Pixel coordinates are moved by whole numbers, so that a pixel is burnt alike in whatever strip it lies.
        shapes = shapely.transform(self._shapes[here], lambda points: points - (0, row))
        burnt = rasterize(
            zip(shapes, (here + 1).tolist(), strict=True), (height, self._width), dtype="int32"
        )
        numbers: Ints = burnt.astype(np.int64)
        return numbers

    def counter(self) -> ObjectCounter:
        return ObjectCounter()

    def close(self) -> None:
        """Nothing is open: the polygons are in memory."""
