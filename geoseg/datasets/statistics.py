"""Class counts and band statistics of labelled pixels, summed window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.datasets.tiles import Patch, Tile, TileReader
from geoseg.errors import SourceError
from geoseg.progress import Progress
from geoseg.raster import TRAIN, refuse_impossible
from geoseg.report import shorten
from geoseg.tiling import Window
from geoseg.value_ranges import ValueRange

Floats = NDArray[np.float64]

SAMPLED_PIXELS = 10_000
"""Pixels of each class that are drawn for balanced sampling; windows shift about each of them."""


def _no_bands() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the labelled, valid pixels of one or many rasters; sums, so that they can be added."""

    class_pixels: tuple[int, ...]
    """Labelled pixels of each class."""
    mean: Floats = field(default_factory=_no_bands)
    """``(bands,)`` in the rasters' units, as the next ones; empty where no pixel is labelled."""
    squares: Floats = field(default_factory=_no_bands)
    """Sum of the squared deviations from the mean."""
    low: Floats = field(default_factory=_no_bands)
    """Smallest value."""
    high: Floats = field(default_factory=_no_bands)
    """Largest value."""

    @classmethod
    def from_window(
        cls, pixels: NDArray[Any], valid: NDArray[np.bool_], labels: NDArray[np.uint8], classes: int
    ) -> Statistics:
        """Those of ``(bands, height, width)`` pixels, ``(height, width)`` mask and class ids."""
        labelled = valid & (labels != NODATA)
        counts = tuple(np.bincount(labels[labelled], minlength=classes).tolist())
        if not labelled.any():
            return cls(counts)
        if pixels.dtype == np.uint8:
            return cls(counts, *_bands_of_bytes(pixels, labelled))
        values = pixels[:, labelled].astype(np.float64)
        mean = values.mean(axis=1)
        squares = ((values - mean[:, None]) ** 2).sum(axis=1)
        return cls(counts, mean, squares, values.min(axis=1), values.max(axis=1))

    def __add__(self, other: Statistics) -> Statistics:
        """Those of both groups of pixels together (Chan et al. 1979), exact also far from zero."""
        if not self.labelled or not other.labelled:
            return self if self.labelled else other
        step, total = other.mean - self.mean, self.labelled + other.labelled
        return Statistics(
            tuple(a + b for a, b in zip(self.class_pixels, other.class_pixels, strict=True)),
            self.mean + step * other.labelled / total,
            self.squares + other.squares + step**2 * self.labelled * other.labelled / total,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def labelled(self) -> int:
        """Labelled pixels."""
        return sum(self.class_pixels)

    @property
    def std(self) -> Floats:
        """``(bands,)`` standard deviation; 1 where a band is constant and cannot be scaled."""
        std = np.sqrt(self.squares / self.labelled)
        return np.where(std > 0, std, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; `from_json` reads it back, to the last bit."""
        return {
            "class_pixels": list(self.class_pixels),
            "pixels": self.labelled,
            "mean": self.mean.tolist(),
            "squares": self.squares.tolist(),
            "min": self.low.tolist(),
            "max": self.high.tolist(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Statistics:
        """What `to_json` gave."""
        bands = (np.array(document[key]) for key in ("mean", "squares", "min", "max"))
        return cls(tuple(document["class_pixels"]), *bands)

    def band_table(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """A row per band, ready for JSON; empty where no pixel is labelled."""
        if not self.labelled:
            return []
        columns = [values.tolist() for values in (self.mean, self.std, self.low, self.high)]
        keys = ("name", "mean", "std", "min", "max")
        return [dict(zip(keys, row, strict=True)) for row in zip(names, *columns, strict=True)]


class PixelSample:
    """A random choice of the pixels of each class, drawn while labels are read.

    Every pixel has the same chance: each draws a number, and those with the smallest ones stay.
    """

    def __init__(self, classes: int, size: int = SAMPLED_PIXELS, seed: int = 0) -> None:
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._drawn = [np.zeros(0) for _ in range(classes)]
        self.places = [np.zeros((0, 3), np.int32) for _ in range(classes)]
        """``(n, 3)`` int32 of each class: tile, row and column, at most `size`."""

    def add(self, tile: int, window: Window, labels: NDArray[np.uint8]) -> None:
        """Consider the pixels of a window."""
        for class_id, (kept, places) in enumerate(zip(self._drawn, self.places, strict=True)):
            rows, cols = np.nonzero(labels == class_id)
            drawn = self._rng.random(len(rows))
            low = drawn < (kept[-1] if len(kept) == self._size else 1.0)
            tiles = np.full(int(low.sum()), tile)
            added = np.stack([tiles, rows[low] + window.row, cols[low] + window.col], axis=1)
            numbers = np.concatenate([kept, drawn[low]])
            order = np.argsort(numbers, kind="stable")[: self._size]
            self._drawn[class_id] = numbers[order]
            self.places[class_id] = np.concatenate([places, added.astype(np.int32)])[order]


def collect_statistics(
    tiles: Sequence[Tile],
    scheme: ClassScheme,
    progress: Progress | None = None,
    sample: PixelSample | None = None,
    value_range: ValueRange | None = None,
    drawn: list[DrawnFeatures] | None = None,
) -> Statistics:
    """Those of all training tiles, each read once.

    Args:
        tiles: what a network is trained on.
        scheme: its classes.
        progress: advanced by each tile.
        sample: gets the labels of each window.
        value_range: of the images; values that cannot lie in it are refused.
        drawn: gets what becomes of the features of each tile's polygons.

    Raises:
        SourceError: a tile cannot be read, its labels hold a value that is neither a class nor
            ignored, its image one that nobody can have measured, or no pixel at all is labelled.
    """
    total = Statistics((0,) * len(scheme))
    for position, reader, window in _windows(tiles, scheme, progress, drawn):
        patch = reader.read(window)
        if value_range is not None:
            _refuse_impossible(reader, window, patch, value_range)
        if sample is not None:
            sample.add(position, window, patch.labels)
        total += Statistics.from_window(*patch, len(scheme))
    if not total.labelled:
        raise SourceError(
            f"{tiles[0].labels.path}: no pixel of the training labels is labelled; check "
            "data.classes"
        )
    return total


def check_references(
    tiles: Sequence[Tile],
    scheme: ClassScheme,
    progress: Progress | None = None,
    value_range: ValueRange | None = None,
    drawn: list[DrawnFeatures] | None = None,
) -> None:
    """Read all validation labels once, and images whose type can hold impossible values.

    A value that no class has would otherwise pass for "no label", and the scores would be too good.

    Args:
        tiles: what a network is validated on.
        scheme: its classes.
        progress: advanced by each tile.
        value_range: of the images; values that cannot lie in it are refused.
        drawn: gets what becomes of the features of each tile's polygons.

    Raises:
        SourceError: a tile cannot be read, its labels hold a value that is neither a class nor
            ignored, its image one that nobody can have measured, or no pixel at all is labelled.
    """
    labelled = False
    for _, reader, window in _windows(tiles, scheme, progress, drawn):
        labelled |= bool((reader.reference(window) != NODATA).any())
        if value_range is not None and reader.tile.image.dtype != "uint8":
            _refuse_impossible(reader, window, reader.read(window), value_range)
    if tiles and not labelled:
        raise SourceError(
            f"{tiles[0].labels.path}: no pixel of the validation labels is labelled; check data.val"
        )


def _refuse_impossible(
    reader: TileReader, window: Window, patch: Patch, value_range: ValueRange
) -> None:
    image, place = reader.tile.image, (window.row, window.col)
    refuse_impossible(image, patch.pixels, patch.valid, value_range, TRAIN, place)


def absent_class_warnings(statistics: Statistics, names: Sequence[str]) -> list[str]:
    """A warning where classes never occur in the training labels: no network can learn them."""
    pairs = zip(names, statistics.class_pixels, strict=True)
    absent = [name for name, count in pairs if not count]
    if not absent:
        return []
    return [
        f"no training pixel shows {shorten(absent, 20)}: the model cannot learn it; check "
        "data.classes and the labels of data.train"
    ]


def _windows(
    tiles: Sequence[Tile],
    scheme: ClassScheme,
    progress: Progress | None,
    drawn: list[DrawnFeatures] | None,
) -> Iterator[tuple[int, TileReader, Window]]:
    """Every window of every tile, with the tile's position and its open reader."""
    for position, tile in enumerate(tiles):
        with TileReader(tile, scheme) as reader:
            if drawn is not None and reader.drawn is not None:
                drawn.append(reader.drawn)
            for window in tile.strips():
                yield position, reader, window
        if progress is not None:
            progress.advance(1)


def _bands_of_bytes(
    pixels: NDArray[np.uint8], labelled: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, squares, smallest and largest value by histogram: several times faster than by value.

    Values 0, 1, 2, ... occur as often as the histogram of ``(bands, 256)`` counts says.
    """
    histograms = np.stack([np.bincount(band[labelled], minlength=256) for band in pixels])
    values = np.arange(256.0)
    mean = histograms @ values / int(histograms[0].sum())
    squares = (histograms * (values - mean[:, None]) ** 2).sum(axis=1)
    occurs = histograms > 0
    low, high = occurs.argmax(axis=1), 255 - occurs[:, ::-1].argmax(axis=1)
    return mean, squares, low.astype(np.float64), high.astype(np.float64)
