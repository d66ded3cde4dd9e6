"""Objects for the scale-sensitive IoU, strip by strip, from a raster of numbers or polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import CITYSCAPES, ClassScheme
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.datasets.file_keys import is_vector
from geoseg.datasets.polygon_labels import PixelPolygons
from geoseg.errors import SourceError
from geoseg.metrics.scale import ClassOf
from geoseg.raster import Reader, Source, describe_grid, open_raster, same_grid
from geoseg.tiling import Window
from geoseg.vector import read_features
from geoseg.vector.read import refuse_other_vectors

Ints = NDArray[np.int64]

_FIRST_INSTANCE = 1000
"""Cityscapes writes ``1000 * labelId + k`` for an object, the plain ``labelId`` for a group."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Numbered objects on the grid of a reference, open to be read."""

    read: Callable[[Window], Ints]
    """``(height, width)`` int64 of a window: an object's number, 0 where there is none."""
    class_of: ClassOf | None = None
    """The class of each object; None: the one that most of its pixels have in the reference."""
    drawn: DrawnFeatures | None = None
    """What becomes of the features of polygons."""


@contextmanager
def open_instances(
    path: Path, reference: Source, scheme: ClassScheme, layer: str | None = None
) -> Iterator[Instances]:
    """The objects of a file on the reference's grid, open to be read; a context manager.

    Polygons (GeoPackage, Shapefile, GeoJSON, FlatGeobuf, in any CRS) are numbered by their order;
    where two overlap, the later one has the pixels. A raster holds a positive number per object;
    where it is called ``*_instanceIds`` or the classes are Cityscapes', it holds that data set's
    ``instanceIds``.

    Raises:
        SourceError: the raster does not lie on the reference's grid, or holds no whole numbers.
        VectorError: the polygons cannot be read.
    """
    if is_vector(path):
        yield _polygon_instances(path, reference, layer)
        return
    refuse_other_vectors(path)
    source = open_raster(path, as_stored=True)
    if len(source.bands) != 1 or np.dtype(source.dtype).kind not in "iu":
        raise SourceError(
            f"{path}: {len(source.bands)} band(s) of {source.dtype} are not objects; give one band "
            "of whole numbers, or polygons"
        )
    if not same_grid(source, reference):
        raise SourceError(
            f"{path}: {describe_grid(source)} do not lie on the grid of {reference.path} "
            f"({describe_grid(reference)}); give objects of the same pixels, or polygons"
        )
    cityscapes = path.stem.endswith("_instanceIds") or scheme == CITYSCAPES
    with source.open() as reader:
        if cityscapes:
            yield _cityscapes_instances(reader, scheme)
        else:
            yield Instances(partial(_read_numbers, reader))


def _read_numbers(reader: Reader, window: Window) -> Ints:
    (numbers,), valid = reader.read(*astuple(window))
    return np.where(valid, numbers, 0).astype(np.int64)


def _cityscapes_instances(reader: Reader, scheme: ClassScheme) -> Instances:
    class_ids = {value: index for index, values in enumerate(scheme.values) for value in values}

    def read(window: Window) -> Ints:
        numbers = _read_numbers(reader, window)
        return np.where(numbers >= _FIRST_INSTANCE, numbers, 0)

    def class_of(numbers: Ints) -> Ints:
        label_ids = (numbers // _FIRST_INSTANCE).tolist()
        return np.array([class_ids.get(label_id, -1) for label_id in label_ids], np.int64)

    return Instances(read, class_of)


def _polygon_instances(path: Path, reference: Source, layer: str | None) -> Instances:
    if not reference.georeferenced or reference.crs is None:
        raise SourceError(
            f"{reference.path}: {describe_grid(reference)} has no place for the polygons of "
            f"{path}; give a raster of object numbers"
        )
    features = read_features(path, layer)
    polygons, numbers = PixelPolygons(features, reference), np.arange(features.count) + 1

    def read(window: Window) -> Ints:
        found = np.zeros((window.height, window.width), np.int32)
        polygons.draw(window, numbers, found)
        return found.astype(np.int64)

    return Instances(read, drawn=polygons.drawn)
