"""What the training rasters hold, in one streaming pass: pixels of each class, mean and deviation of each band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.moments import Moments
from geoseg.datasets.tiles import Tile, TileReader
from geoseg.errors import SourceError
from geoseg.progress import Progress
from geoseg.tiling import Window

SILENT = Progress()
STRIP_PIXELS = 2**20
"""Pixels read at once."""


KEPT = 10_000
"""Pixels of each class that balanced sampling knows; each stands for many, since windows shift about it."""


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


class PixelSample:
    """A random choice of the pixels of each class, made while labels stream by; every pixel has the same chance."""

    def __init__(self, classes: int, kept: int = KEPT, seed: int = 0) -> None:
        self._kept = kept
        self._rng = np.random.default_rng(seed)
        self._keys = [np.zeros(0) for _ in range(classes)]
        self.places = [np.zeros((0, 3), np.int32) for _ in range(classes)]
        """``(n, 3)`` int32 of each class: tile, row and column, at most `kept`."""

    def add(self, tile: int, window: Window, labels: NDArray[np.uint8]) -> None:
        """Consider the pixels of a window: every pixel draws a number, those with the smallest stay."""
        for position, (keys, places) in enumerate(zip(self._keys, self.places, strict=True)):
            rows, cols = np.nonzero(labels == position)
            drawn = self._rng.random(len(rows))
            low = drawn < (keys[-1] if len(keys) == self._kept else 1.0)
            tiles = np.full(int(low.sum()), tile)
            fresh = np.stack(
                [tiles, rows[low] + window.row, cols[low] + window.col], axis=1
            ).astype(np.int32)
            all_keys = np.concatenate([keys, drawn[low]])
            order = np.argsort(all_keys, kind="stable")[: self._kept]
            self._keys[position] = all_keys[order]
            self.places[position] = np.concatenate([places, fresh])[order]


def collect_statistics(
    tiles: Sequence[Tile],
    scheme: ClassScheme,
    progress: Progress = SILENT,
    sample: PixelSample | None = None,
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
        raise SourceError(
            f"{tiles[0].labels.path}: no pixel of the training labels is labelled; check data.classes"
        )
    return Statistics(
        counts,
        tuple(moments.mean.tolist()),
        tuple(moments.deviation.tolist()),
        float(low),
        float(high),
    )


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
        raise SourceError(
            f"{tiles[0].labels.path}: no pixel of the validation labels is labelled; check data.val"
        )


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
