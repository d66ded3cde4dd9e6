"""A raster with its labels: checked when it is opened, read window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.errors import SourceError
from geoseg.raster import Source, describe_grid, open_raster, same_grid
from geoseg.tiling import Window


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
    """An image and the labels of the same grid; no open file, so that it travels to other processes."""

    image: Source
    labels: Source

    def __post_init__(self) -> None:
        image, labels = self.image, self.labels
        if (labels.height, labels.width) != (image.height, image.width):
            raise SourceError(
                f"{labels.path}: labels of {labels.height} x {labels.width} pixels for an image of {image.height} x "
                f"{image.width} ({image.path.name}); they must share one grid"
            )
        if not same_grid(image, labels):
            raise SourceError(
                f"{labels.path}: {describe_grid(labels)} do not lie on {image.path.name} ({describe_grid(image)}); "
                "give labels of the same pixels, or warp them first"
            )
        if len(labels.bands) != 1:
            raise SourceError(
                f"{labels.path}: labels have {len(labels.bands)} bands; one band of class values is needed"
            )
        if np.dtype(labels.dtype).kind not in "iu":
            raise SourceError(f"{labels.path}: labels are {labels.dtype}; whole numbers are needed")

    @property
    def area(self) -> int:
        """Pixels."""
        return self.image.height * self.image.width

    @property
    def bytes(self) -> int:
        """Bytes that pixels, mask and labels take in memory."""
        return self.area * (len(self.image.bands) * np.dtype(self.image.dtype).itemsize + 2)


def open_tile(image: Path, labels: Path, bands: Sequence[int] | None = None) -> Tile:
    """A labelled raster, its files checked.

    Args:
        image: any raster that GDAL reads.
        labels: one band of class values on the same grid; a georeference may lack.
        bands: 1-based bands of `image`, all where None.

    Raises:
        SourceError: a file cannot be read, or the two do not fit together.
    """
    return Tile(open_raster(image, bands=bands), open_raster(labels))


class TileReader:
    """Windows of one tile, with class ids for labels; opened by the process that reads."""

    def __init__(self, tile: Tile, scheme: ClassScheme) -> None:
        self.tile = tile
        self._scheme = scheme
        self._files = ExitStack()
        self._image = self._files.enter_context(tile.image.open())
        self._labels = self._files.enter_context(tile.labels.open())
        self._table = scheme.ids_from_values(np.arange(256))[0]

    def read(self, window: Window) -> Patch:
        """Pixels, mask and class ids of a window inside the raster; invalid pixels have no label."""
        place = (window.row, window.col, window.height, window.width)
        pixels, valid = self._image.read(*place)
        values, known = self._labels.read(*place)
        labels = self._ids(values[0])
        labels[~(known & valid)] = NODATA
        return Patch(pixels, valid, labels)

    def reference(self, window: Window) -> NDArray[np.uint8]:
        """Class ids of a window as the labels have them, also where the image is invalid."""
        values, known = self._labels.read(window.row, window.col, window.height, window.width)
        labels = self._ids(values[0])
        labels[~known] = NODATA
        return labels

    def unknown_values(self, window: Window) -> dict[int, int]:
        """How many pixels hold each label value that is neither a class nor ignored."""
        values, known = self._labels.read(window.row, window.col, window.height, window.width)
        held = values[0][known]
        if held.dtype == np.uint8:
            counts = np.bincount(held, minlength=256)
            distinct = np.flatnonzero(counts)
            strangers = self._scheme.ids_from_values(distinct)[1]
            return {value: int(counts[value]) for value in strangers}
        return self._scheme.ids_from_values(held)[1]

    def _ids(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        # Nearly all labels are uint8, where looking up is far cheaper than finding the distinct values.
        return (
            self._table[values]
            if values.dtype == np.uint8
            else self._scheme.ids_from_values(values)[0]
        )

    def close(self) -> None:
        """Let go of both files."""
        self._files.close()

    def __enter__(self) -> TileReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
