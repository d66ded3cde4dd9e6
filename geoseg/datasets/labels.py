"""Labels in whatever form they come, as class ids on the grid of an image.

The one way to labels of `prepare`, `train` and `evaluate`: rasters of values or of colours, and
polygons in any coordinate system.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from geoseg.classes import ClassScheme
from geoseg.datasets.file_keys import is_vector
from geoseg.datasets.polygon_labels import PolygonLabels, Polygons
from geoseg.datasets.raster_labels import RasterLabels
from geoseg.datasets.unknown_values import Policy
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, describe_grid, open_raster, same_grid

LabelSource = Source | Polygons
"""Where labels are read from; no open file."""


Labels = RasterLabels | PolygonLabels
"""Open labels of one image."""


def find_labels(path: Path, attribute: str | None = None) -> LabelSource:
    """The labels in a file: polygons or a raster, by its suffix; nothing is decoded.

    Args:
        path: a vector file or anything that GDAL reads as a raster.
        attribute: of polygons, that holds the class's name or value.

    Raises:
        ConfigError: an attribute is given for a raster.
        SourceError: the raster cannot be read.
    """
    if is_vector(path):
        return Polygons(path, attribute)
    if attribute is not None:
        raise ConfigError(
            f"attribute {attribute}: goes with polygons, and {path} is a raster; leave it out"
        )
    return open_raster(path)


def check_labels(labels: LabelSource, image: Source) -> None:
    """Refuse labels that do not fit an image.

    Raises:
        SourceError: a raster holds neither values nor colours or does not lie on the image's grid;
            or the image is not georeferenced, which polygons need.
    """
    if isinstance(labels, Polygons):
        if image.georeferenced and image.crs is not None:
            return
        missing = "a world file with its place"
        if image.georeferenced:
            missing = "its coordinate system (geoseg prepare --crs EPSG:N)"
        raise SourceError(
            f"{image.path}: {describe_grid(image)} has no place for the polygons of "
            f"{labels.path.name}; give {missing}, or labels as rasters"
        )
    if not same_grid(image, labels):
        raise SourceError(
            f"{labels.path}: {describe_grid(labels)} do not lie on {image.path.name} "
            f"({describe_grid(image)}); give labels of the same pixels, or warp them first"
        )
    bands, dtype = len(labels.bands), np.dtype(labels.dtype)
    if not (bands == 1 and dtype.kind in "iu") and not (bands == 3 and dtype == np.uint8):
        raise SourceError(
            f"{labels.path}: {bands} band(s) of {dtype} are no labels; give one band of whole "
            "numbers, or red, green and blue as uint8"
        )


@contextmanager
def open_labels(
    labels: LabelSource, image: Source, scheme: ClassScheme, policy: Policy = "refuse"
) -> Iterator[Labels]:
    """The labels of an image, open to be read; a context manager.

    Args:
        labels: from `find_labels`.
        image: gives the grid.
        scheme: the classes.
        policy: what happens to values and colours that no class has; see `unknown_values`.

    Raises:
        SourceError: the labels do not fit the image, or cannot be read.
        VectorError: polygons cannot be used.
    """
    check_labels(labels, image)
    opened: Labels
    if isinstance(labels, Polygons):
        opened = PolygonLabels(labels, image, scheme)
    else:
        opened = RasterLabels(labels, scheme, policy)
    try:
        yield opened
    finally:
        opened.close()
