"""An image with its labels: checked when it is opened, read window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.labels import LabelSource, check_labels, find_labels, open_labels
from geoseg.datasets.polygon_labels import Polygons
from geoseg.raster import Source, open_raster
from geoseg.tiling import Window

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
        height, width = self.image.height, self.image.width
        rows = max(1, STRIP_PIXELS // width)
        for row in range(0, height, rows):
            yield Window(row, 0, min(rows, height - row), width)


def open_tile(
    image: Path, labels: Path, bands: Sequence[int] | None = None, attribute: str | None = None
) -> Tile:
    """An image with its labels, the files checked.

    Args:
        image: any raster that GDAL reads.
        labels: values or colours on the same grid (a georeference may be missing), or polygons.
        bands: 1-based bands of `image`, all where None.
        attribute: of polygons, that holds the class's name or value.

    Raises:
        ConfigError: an attribute is given for a label raster.
        SourceError: a file cannot be read, or the two do not fit together.
    """
    return Tile(open_raster(image, bands=bands), find_labels(labels, attribute))


class TileReader:
    """Windows of one tile, with class ids for labels; opened by the process that reads.

    Label values and colours that no class has are refused.
    """

    def __init__(self, tile: Tile, scheme: ClassScheme) -> None:
        self.tile = tile
        self._files = ExitStack()
        self._image = self._files.enter_context(tile.image.open())
        self._labels = self._files.enter_context(open_labels(tile.labels, tile.image, scheme))

    def read(self, window: Window) -> Patch:
        """Pixels, mask and class ids of a window inside the raster; invalid pixels have no label.

        Raises:
            SourceError: a file is damaged there, or a label is of no class.
        """
        pixels, valid = self._image.read(window.row, window.col, window.height, window.width)
        labels = self._labels.read(window, valid)
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

    def close(self) -> None:
        """Close both files."""
        self._files.close()

    def __enter__(self) -> TileReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
