"""Objects for the scale-sensitive IoU, strip by strip, from a raster of numbers or polygons."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import astuple
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoseg.classes import CITYSCAPES, ClassScheme
from geoseg.datasets.file_keys import is_vector
from geoseg.errors import SourceError
from geoseg.metrics.scale import ClassOf
from geoseg.raster import Source, describe_grid, open_raster, same_grid
from geoseg.tiling import Window
from geoseg.vector.polygonize import to_crs
from geoseg.vector.read import read_polygons

Ints = NDArray[np.int64]

_FIRST_INSTANCE = 1000
"""Cityscapes writes ``1000 * labelId + k`` for an object, the plain ``labelId`` for a group."""


class InstanceReader(AbstractContextManager["InstanceReader"]):
    """Numbered objects on the grid of a reference."""

    class_of: ClassOf | None = None
    """The class of each object; None: the one that most of its pixels have in the reference."""

    @abstractmethod
    def read(self, window: Window) -> Ints:
        """``(height, width)`` int64: an object's number, 0 where there is none."""


def open_instances(path: Path, reference: Source, scheme: ClassScheme) -> InstanceReader:
    """The objects of a file, on the reference's grid.

    Polygons (GeoPackage, Shapefile, GeoJSON, FlatGeobuf, in any CRS) are numbered by their order;
    where two overlap, the later one has the pixels. A raster holds a positive number an object;
    where it is called ``*_instanceIds`` or the classes are Cityscapes', it holds that data set's
    ``instanceIds``.

    Raises:
        SourceError: the raster does not lie on the reference's grid, or holds no whole numbers.
        VectorError: the polygons cannot be read.
    """
    if is_vector(path):
        return _Polygons(path, reference)
    source = open_raster(path)
    if len(source.bands) != 1 or np.dtype(source.dtype).kind not in "iu":
        raise SourceError(
            f"{path}: {len(source.bands)} band(s) of {source.dtype} are no objects; give one band "
            "of whole numbers, or polygons"
        )
    if not same_grid(source, reference):
        raise SourceError(
            f"{path}: {describe_grid(source)} do not lie on the grid of {reference.path} "
            f"({describe_grid(reference)}); give objects of the same pixels, or polygons"
        )
    cityscapes = path.stem.endswith("_instanceIds") or scheme == CITYSCAPES
    return _CityscapesRaster(source, scheme) if cityscapes else _Raster(source)


class _Raster(InstanceReader):
    def __init__(self, source: Source) -> None:
        self._reader = source.open()

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def read(self, window: Window) -> Ints:
        (numbers,), valid = self._reader.read(*astuple(window))
        return np.where(valid, numbers, 0).astype(np.int64)


class _CityscapesRaster(_Raster):
    def __init__(self, source: Source, scheme: ClassScheme) -> None:
        super().__init__(source)
        self._ids = {value: index for index, values in enumerate(scheme.values) for value in values}
        self.class_of = self._class_of

    def read(self, window: Window) -> Ints:
        numbers = super().read(window)
        return np.where(numbers >= _FIRST_INSTANCE, numbers, 0)

    def _class_of(self, numbers: Ints) -> Ints:
        label_ids = (numbers // _FIRST_INSTANCE).tolist()
        return np.array([self._ids.get(label_id, -1) for label_id in label_ids], np.int64)


class _Polygons(InstanceReader):
    def __init__(self, path: Path, reference: Source) -> None:
        if not reference.georeferenced:
            raise SourceError(
                f"{reference.path}: {describe_grid(reference)} has no place for the polygons of "
                f"{path}; give a raster of object numbers"
            )
        # The inverse transform takes them from the CRS to pixels of the reference.
        self._polygons = to_crs(read_polygons(path, reference.crs), ~reference.transform)
        self._tree = shapely.STRtree(self._polygons)

    def __exit__(self, *error: object) -> None:
        """Nothing is open: the polygons are in memory."""

    def read(self, window: Window) -> Ints:
        row, col, height, width = astuple(window)
        box = shapely.box(col, row, col + width, row + height)
        here = np.sort(self._tree.query(box))  # in file order, which decides where two overlap
        if not here.size:
            return np.zeros((height, width), np.int64)
        # Moved by whole pixels, so that a pixel is rasterized alike in whatever strip it lies.
        polygons = shapely.transform(self._polygons[here], lambda points: points - (col, row))
        numbered = zip(polygons, (here + 1).tolist(), strict=True)
        numbers: NDArray[np.int32] = rasterize(numbered, (height, width), dtype="int32")
        return numbers.astype(np.int64)
