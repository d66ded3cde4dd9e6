"""An image with its labels: checked when it is opened, read window by window.

The one way to labels of `prepare`, `train` and `evaluate`: rasters of values or of colours, and
polygons in any coordinate system, all as class ids on the grid of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.datasets.file_keys import is_vector
from geoseg.datasets.polygon_labels import PolygonLabels, Polygons, SeenPolygons
from geoseg.datasets.raster_labels import Policy, RasterLabels
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import (
    SeenSource,
    SeenSources,
    Source,
    describe_grid,
    open_raster,
    refuse_palette,
    same_grid,
    stack,
)
from geoseg.tiling import Window
from geoseg.vector.read import refuse_other_vectors

LabelSource = Source | Polygons
"""Where labels are read from; no open file."""
Labels = RasterLabels | PolygonLabels
"""Open labels of one image."""
Seen = SeenSource | SeenSources | SeenPolygons
"""An image, or labels, as they were once."""


def find_labels(path: Path, attribute: str | None = None, layer: str | None = None) -> LabelSource:
    """The labels in a file: polygons or a raster, by its suffix; nothing is decoded.

    Args:
        path: a vector file or anything that GDAL reads as a raster.
        attribute: of polygons, that holds the class's name or value.
        layer: of polygons; may be left out where there is one alone.

    Raises:
        ConfigError: an attribute or a layer is given for a raster.
        SourceError: the raster cannot be read.
        VectorError: it is a vector file of a format that is not read.
    """
    if is_vector(path):
        return Polygons(path, attribute, layer)
    refuse_other_vectors(path)
    for option, given in (("attribute", attribute), ("layer", layer)):
        if given is not None:
            raise ConfigError(
                f"{option} {given}: goes with polygons, and {path} is a raster; leave it out"
            )
    return open_raster(path, as_stored=True)


def see_labels(labels: LabelSource, scheme: ClassScheme) -> Seen:
    """Labels as they are now.

    Raises:
        SourceError: the raster or a file that belongs to it cannot be read.
        VectorError: polygons cannot be read, or have an unknown class.
    """
    if isinstance(labels, Polygons):
        return SeenPolygons.at(labels, scheme)
    return SeenSource.at(labels.path)


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
            f"{labels.path}: {bands} band(s) of {dtype} are not labels; give one band of whole "
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
        policy: what happens to values and colours that no class has; see `raster_labels`.

    Raises:
        SourceError: the labels do not fit the image, or cannot be read.
        VectorError: polygons cannot be used.
    """
    check_labels(labels, image)
    if isinstance(labels, Polygons):
        yield PolygonLabels(labels, image, scheme)
    else:
        with closing(RasterLabels(labels, scheme, policy)) as opened:
            yield opened


STRIP_PIXELS = 2**20
"""Pixels of a strip that is read at once."""


class Patch(NamedTuple):
    """A rectangle of a training raster."""

    pixels: NDArray[Any]
    """``(bands, height, width)`` in the raster's units; anything, also NaN, where not valid."""
    valid: NDArray[np.bool_]
    """``(height, width)``"""
    labels: NDArray[np.uint8]
    """``(height, width)`` class ids, 255 unlabelled."""

    def moved(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Patch:
        """The patch with pixels, mask and labels moved alike; `move` acts on the last two axes."""
        return Patch(move(self.pixels), move(self.valid), move(self.labels))


@dataclass(frozen=True, slots=True)
class Tile:
    """An image and labels that fit it; no open file, so that it travels to other processes."""

    image: Source
    labels: LabelSource

    def __post_init__(self) -> None:
        check_labels(self.labels, self.image)

    @property
    def area(self) -> int:
        """Pixels."""
        return self.image.height * self.image.width

    @property
    def bytes(self) -> int:
        """Bytes that pixels, mask and labels take in memory."""
        return self.area * (len(self.image.bands) * np.dtype(self.image.dtype).itemsize + 2)

    def strips(self) -> Iterator[Window]:
        """Windows of whole rows that cover the tile from top to bottom."""
        return strips(self.image.height, self.image.width, STRIP_PIXELS)


def strips(height: int, width: int, pixels: int) -> Iterator[Window]:
    """Windows of whole rows, of about so many pixels, that cover a raster from top to bottom."""
    rows = max(1, pixels // width)
    for row in range(0, height, rows):
        yield Window(row, 0, min(rows, height - row), width)


def open_tile(
    image: Path | Sequence[Path],
    labels: Path,
    bands: Sequence[int] | None = None,
    attribute: str | None = None,
    layer: str | None = None,
    *,
    nodata: Sequence[float] = (),
) -> Tile:
    """An image with its labels, the files checked.

    Args:
        image: any raster that GDAL reads, or several files that hold its bands: see
            `geoseg.raster.stack`.
        labels: values or colours on the same grid (a georeference may be missing), or polygons.
        bands: 1-based bands of `image`, all where None.
        attribute: of polygons, that holds the class's name or value.
        layer: of polygons; may be left out where there is one alone.
        nodata: values of `image` that mean no data, in place of the one that it declares.

    Raises:
        ConfigError: an attribute or a layer is given for a label raster.
        SourceError: a file cannot be read, or the two do not fit together.
        VectorError: the labels are a vector file of a format that is not read.
    """
    files = [image] if isinstance(image, Path) else image
    source = stack(files, bands=bands, nodata=nodata)
    refuse_palette(source, "images need values of bands")
    return Tile(source, find_labels(labels, attribute, layer))


def rasters_of(tiles: Iterable[Tile]) -> list[Source]:
    """The images, and the labels that are rasters, of some tiles."""
    files = [source for tile in tiles for source in (tile.image, tile.labels)]
    return [source for source in files if isinstance(source, Source)]


def see_tiles(tiles: Iterable[Tile], scheme: ClassScheme) -> list[Seen]:
    """The images and labels of some tiles as they are now, each file once.

    Raises:
        SourceError: a file cannot be read.
        VectorError: polygons cannot be read, or have an unknown class.
    """
    images = {tile.image.files: tile.image for tile in tiles}
    labels = {tile.labels.path: tile.labels for tile in tiles}
    seen: list[Seen] = [image.see() for image in images.values()]
    return seen + [see_labels(each, scheme) for each in labels.values()]


class TileReader(ExitStack):
    """Windows of one tile, with class ids for labels; opened by the process that reads.

    Label values and colours that no class has are refused.
    """

    def __init__(self, tile: Tile, scheme: ClassScheme) -> None:
        super().__init__()
        self.tile = tile
        self._image = self.enter_context(tile.image.open())
        self._labels = self.enter_context(open_labels(tile.labels, tile.image, scheme))

    @property
    def drawn(self) -> DrawnFeatures | None:
        """What becomes of the features of polygons; None of raster labels."""
        return self._labels.drawn if isinstance(self._labels, PolygonLabels) else None

    def read(self, window: Window) -> Patch:
        """Pixels, mask and class ids of a window inside the raster; invalid pixels have no label.

        Raises:
            SourceError: a file is damaged there, or a label is of no class.
        """
        pixels, valid = self._image.read(window.row, window.col, window.height, window.width)
        labels = self._labels.read(window)
        labels[~valid] = NODATA
        return Patch(pixels, valid, labels)

    def reference(self, window: Window) -> NDArray[np.uint8]:
        """Class ids as the labels have them; those of rasters also where the image is invalid.

        Raises:
            SourceError: as `read`.
        """
        if isinstance(self.tile.labels, Polygons):
            return self.read(window).labels
        return self._labels.read(window)
