"""What written files hold: pixels of each class, mean, deviation and range of each band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA
from geoseg.datasets.moments import Moments

_NONE = Moments()


@dataclass(frozen=True, slots=True)
class Tally:
    """Figures of the labelled, valid pixels of one or many files; sums, so that they can be added."""

    class_pixels: tuple[int, ...]
    """Labelled pixels of each class."""
    moments: Moments = _NONE
    low: tuple[float, ...] = ()
    """Smallest value of each band."""
    high: tuple[float, ...] = ()
    """Largest."""

    @classmethod
    def of(
        cls, pixels: NDArray[Any], valid: NDArray[np.bool_], labels: NDArray[np.uint8], classes: int
    ) -> Tally:
        """Those of one window: ``(bands, height, width)`` pixels, ``(height, width)`` mask and class ids."""
        labelled = valid & (labels != NODATA)
        counts = tuple(np.bincount(labels[labelled], minlength=classes).tolist())
        if not labelled.any():
            return cls(counts)
        if pixels.dtype == np.uint8:
            return cls(counts, *_of_bytes(pixels, labelled))
        values = pixels[:, labelled].astype(np.float64)
        return cls(
            counts,
            Moments.of(values),
            tuple(values.min(axis=1).tolist()),
            tuple(values.max(axis=1).tolist()),
        )

    def __add__(self, other: Tally) -> Tally:
        if not (self.low and other.low):
            ranged = self if self.low else other
            low, high = ranged.low, ranged.high
        else:
            low, high = tuple(map(min, self.low, other.low)), tuple(map(max, self.high, other.high))
        counts = tuple(a + b for a, b in zip(self.class_pixels, other.class_pixels, strict=True))
        return Tally(counts, self.moments.merged(other.moments), low, high)

    @property
    def labelled(self) -> int:
        """Labelled pixels."""
        return sum(self.class_pixels)

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON; `read` takes it back, to the last bit."""
        return {
            "class_pixels": list(self.class_pixels),
            "pixels": self.moments.number,
            "mean": self.moments.mean.tolist(),
            "squares": self.moments.squares.tolist(),
            "min": [float(value) for value in self.low],
            "max": [float(value) for value in self.high],
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Tally:
        """What `document` gave."""
        moments = Moments(
            document["pixels"], np.array(document["mean"]), np.array(document["squares"])
        )
        return cls(
            tuple(document["class_pixels"]), moments, tuple(document["min"]), tuple(document["max"])
        )

    def bands(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """A table of the bands, ready for JSON; empty where no pixel is labelled."""
        if not self.moments.number:
            return []
        columns = (self.moments.mean, self.moments.deviation, self.low, self.high)
        return [
            {
                "name": name,
                "mean": float(mean),
                "std": float(std),
                "min": float(low),
                "max": float(high),
            }
            for name, mean, std, low, high in zip(names, *columns, strict=True)
        ]


def _of_bytes(
    pixels: NDArray[np.uint8], labelled: NDArray[np.bool_]
) -> tuple[Moments, tuple[float, ...], tuple[float, ...]]:
    """Moments, smallest and largest value by histogram: several times faster than over the values."""
    histograms = np.stack([np.bincount(band[labelled], minlength=256) for band in pixels])
    values = np.arange(256.0)
    number = int(histograms[0].sum())
    mean = histograms @ values / number
    squares = (histograms * (values - mean[:, None]) ** 2).sum(axis=1)
    present = histograms > 0
    low, high = present.argmax(axis=1), 255 - present[:, ::-1].argmax(axis=1)
    return (
        Moments(number, mean, squares),
        tuple(low.astype(float).tolist()),
        tuple(high.astype(float).tolist()),
    )
