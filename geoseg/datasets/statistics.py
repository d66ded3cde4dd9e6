"""Class counts and band statistics of labelled pixels, summed window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.tiles import Tile, TileReader
from geoseg.errors import SourceError
from geoseg.progress import Progress
from geoseg.tiling import Window

SAMPLED_PIXELS = 10_000
"""Pixels of each class that are drawn for balanced sampling; windows shift about each of them."""


class Moments(NamedTuple):
    """Number, mean and sum of squared deviations of many values of each band."""

    number: int = 0
    mean: NDArray[np.float64] = np.zeros(0)
    squares: NDArray[np.float64] = np.zeros(0)

    @classmethod
    def from_values(cls, values: NDArray[np.float64]) -> Moments:
        """Those of ``(bands, count)`` values."""
        mean = values.mean(axis=1)
        return cls(values.shape[1], mean, ((values - mean[:, None]) ** 2).sum(axis=1))

    @classmethod
    def from_histograms(cls, histograms: NDArray[np.int64]) -> Moments:
        """Those of values 0, 1, 2, ... that occur as often as ``(bands, values)`` counts say."""
        values = np.arange(float(histograms.shape[1]))
        number = int(histograms[0].sum())
        mean = histograms @ values / number
        squares = (histograms * (values - mean[:, None]) ** 2).sum(axis=1)
        return cls(number, mean, squares)

    def merged(self, other: Moments) -> Moments:
        """Those of both groups together (Chan et al. 1979), exact also far from zero."""
        if not self.number or not other.number:
            return self if self.number else other
        step, count = other.mean - self.mean, self.number + other.number
        return Moments(
            count,
            self.mean + step * other.number / count,
            self.squares + other.squares + step**2 * self.number * other.number / count,
        )

    @property
    def std(self) -> NDArray[np.float64]:
        """``(bands,)`` standard deviation; 1 where a band is constant and cannot be scaled."""
        std = np.sqrt(self.squares / self.number)
        return np.where(std > 0, std, 1.0)


_NO_MOMENTS = Moments()


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the labelled, valid pixels of one or many rasters; sums, so that they can be added."""

    class_pixels: tuple[int, ...]
    """Labelled pixels of each class."""
    moments: Moments = _NO_MOMENTS
    low: tuple[float, ...] = ()
    """Smallest value of each band; empty where no pixel is labelled."""
    high: tuple[float, ...] = ()
    """Largest, likewise."""

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
            return cls(counts, *_from_bytes(pixels, labelled))
        values = pixels[:, labelled].astype(np.float64)
        low, high = values.min(axis=1), values.max(axis=1)
        return cls(counts, Moments.from_values(values), tuple(low.tolist()), tuple(high.tolist()))

    def __add__(self, other: Statistics) -> Statistics:
        if self.low and other.low:
            low, high = tuple(map(min, self.low, other.low)), tuple(map(max, self.high, other.high))
        else:
            low, high = self.low or other.low, self.high or other.high
        counts = tuple(a + b for a, b in zip(self.class_pixels, other.class_pixels, strict=True))
        return Statistics(counts, self.moments.merged(other.moments), low, high)

    @property
    def labelled(self) -> int:
        """Labelled pixels."""
        return sum(self.class_pixels)

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each band, in the rasters' units."""
        return tuple(self.moments.mean.tolist())

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each band; 1 where it is constant."""
        return tuple(self.moments.std.tolist())

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; `from_json` reads it back, to the last bit."""
        return {
            "class_pixels": list(self.class_pixels),
            "pixels": self.moments.number,
            "mean": self.moments.mean.tolist(),
            "squares": self.moments.squares.tolist(),
            "min": [float(value) for value in self.low],
            "max": [float(value) for value in self.high],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Statistics:
        """What `to_json` gave."""
        mean, squares = np.array(document["mean"]), np.array(document["squares"])
        moments = Moments(document["pixels"], mean, squares)
        low, high = tuple(document["min"]), tuple(document["max"])
        return cls(tuple(document["class_pixels"]), moments, low, high)

    def band_table(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """A row a band, ready for JSON; empty where no pixel is labelled."""
        if not self.labelled:
            return []
        columns = zip(names, self.mean, self.std, self.low, self.high, strict=True)
        keys = ("name", "mean", "std", "min", "max")
        return [dict(zip(keys, row, strict=True)) for row in columns]


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
) -> Statistics:
    """Those of all training tiles, each read once.

    Args:
        tiles: what a network is trained on.
        scheme: its classes.
        progress: advanced by each tile.
        sample: gets the labels of each window.

    Raises:
        SourceError: a tile cannot be read, its labels hold a value that is neither a class nor
            ignored, or no pixel at all is labelled.
    """
    total = Statistics((0,) * len(scheme))
    for position, tile in enumerate(tiles):
        with TileReader(tile, scheme) as reader:
            for window in tile.strips():
                patch = reader.read(window)
                if sample is not None:
                    sample.add(position, window, patch.labels)
                total += Statistics.from_window(*patch, len(scheme))
        if progress is not None:
            progress.advance(1)
    if not total.labelled:
        raise SourceError(
            f"{tiles[0].labels.path}: no pixel of the training labels is labelled; check "
            "data.classes"
        )
    return total


def check_references(
    tiles: Sequence[Tile], scheme: ClassScheme, progress: Progress | None = None
) -> None:
    """Read all validation labels once.

    A value that no class has would otherwise pass for "no label", and the scores would be too good.

    Raises:
        SourceError: a tile cannot be read, its labels hold a value that is neither a class nor
            ignored, or no pixel at all is labelled.
    """
    labelled = False
    for tile in tiles:
        with TileReader(tile, scheme) as reader:
            for window in tile.strips():
                labelled |= bool((reader.reference(window) != NODATA).any())
        if progress is not None:
            progress.advance(1)
    if tiles and not labelled:
        raise SourceError(
            f"{tiles[0].labels.path}: no pixel of the validation labels is labelled; check data.val"
        )


def absent_class_warnings(statistics: Statistics, names: Sequence[str]) -> list[str]:
    """A warning where classes never occur in the training labels: no network can learn them."""
    pairs = zip(names, statistics.class_pixels, strict=True)
    absent = [name for name, count in pairs if not count]
    if not absent:
        return []
    return [
        f"no training pixel shows {', '.join(absent)}: the model cannot learn it; check "
        "data.classes and the labels of data.train"
    ]


def _from_bytes(
    pixels: NDArray[np.uint8], labelled: NDArray[np.bool_]
) -> tuple[Moments, tuple[float, ...], tuple[float, ...]]:
    """Moments, smallest and largest value by histogram: several times faster than by value."""
    histograms = np.stack([np.bincount(band[labelled], minlength=256) for band in pixels])
    occurs = histograms > 0
    low, high = occurs.argmax(axis=1), 255 - occurs[:, ::-1].argmax(axis=1)
    ends = [tuple(end.astype(float).tolist()) for end in (low, high)]
    return Moments.from_histograms(histograms), ends[0], ends[1]
