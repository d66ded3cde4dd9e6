"""What the training rasters hold, in one streaming pass: pixels of each class, mean and deviation of each band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.errors import SourceError
from geoseg.progress import Progress
from geoseg.tiling import Window
from geoseg.training.moments import Moments
from geoseg.training.sampling import PixelSample
from geoseg.training.tiles import Tile, TileReader

SILENT = Progress()
STRIP_PIXELS = 2**20
"""Pixels read at once."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of all labelled, valid pixels: those that training sees."""

    class_counts: NDArray[np.int64]
    """``(classes,)`` labelled pixels of each class."""
    mean: tuple[float, ...]
    """Of each band, in the raster's units."""
    std: tuple[float, ...]
    """Of each band, likewise; 1 where a band is constant, which nothing could scale."""
    low: float
    """Smallest value of any band."""
    high: float
    """Largest."""


def collect_statistics(
    tiles: Sequence[Tile], scheme: ClassScheme, progress: Progress = SILENT, sample: PixelSample | None = None
) -> Statistics:
    """Read every tile once.

    Args:
        tiles: what is learnt from.
        scheme: its classes.
        progress: told of each tile.
        sample: gathers pixels of each class on the way.

    Raises:
        SourceError: a tile cannot be read, its labels hold a value that is neither a class nor ignored, or
            no pixel at all is labelled.
    """
    counts = np.zeros(len(scheme), np.int64)
    moments = Moments()
    low, high = np.inf, -np.inf
    for position, tile in enumerate(tiles):
        with TileReader(tile, scheme) as reader:
            for window in strips(tile):
                patch = reader.read(window)
                _refuse_unknown(tile, reader.unknown_values(window))
                if sample is not None:
                    sample.add(position, window, patch.labels)
                labelled = patch.labels != NODATA
                counts += np.bincount(patch.labels[labelled], minlength=len(scheme))
                values = patch.pixels[:, labelled].astype(np.float64)
                if values.size:
                    moments = moments.merged(Moments.of(values))
                    low, high = min(low, values.min()), max(high, values.max())
        progress.advance(1)
    if not moments.number:
        raise SourceError(f"{tiles[0].labels.path}: no pixel of the training labels is labelled; check data.classes")
    return Statistics(counts, tuple(moments.mean.tolist()), tuple(moments.deviation.tolist()), float(low), float(high))


def check_labels(tiles: Sequence[Tile], scheme: ClassScheme, progress: Progress = SILENT) -> None:
    """Read the labels that will judge once: a value without a meaning would pass for "no label" and flatter.

    Raises:
        SourceError: a tile cannot be read, its labels hold a value that is neither a class nor ignored, or no pixel at
            all is labelled.
    """
    labelled = False
    for tile in tiles:
        with TileReader(tile, scheme) as reader:
            for window in strips(tile):
                _refuse_unknown(tile, reader.unknown_values(window))
                labelled = labelled or bool((reader.reference(window) != NODATA).any())
        progress.advance(1)
    if tiles and not labelled:
        raise SourceError(f"{tiles[0].labels.path}: no pixel of the validation labels is labelled; check data.val")


def strips(tile: Tile) -> Iterator[Window]:
    """Windows of whole rows that cover a tile from top to bottom."""
    height, width = tile.image.height, tile.image.width
    rows = max(1, STRIP_PIXELS // width)
    for row in range(0, height, rows):
        yield Window(row, 0, min(rows, height - row), width)


def _refuse_unknown(tile: Tile, unknown: dict[int, int]) -> None:
    if unknown:
        value, pixels = next(iter(unknown.items()))
        raise SourceError(
            f"{tile.labels.path}: value {value} ({pixels} pixels) is no class and not ignored; "
            "add it to data.classes or to data.ignore"
        )
