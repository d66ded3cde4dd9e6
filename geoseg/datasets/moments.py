"""Number, mean and deviation of many values of each band, from parts that are put together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Moments(NamedTuple):
    """Number, mean and sum of squared deviations of many values of each band."""

    number: int = 0
    mean: NDArray[np.float64] = np.zeros(0)
    squares: NDArray[np.float64] = np.zeros(0)

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Moments:
        """Those of ``(bands, count)`` values."""
        mean = values.mean(axis=1)
        return cls(values.shape[1], mean, ((values - mean[:, None]) ** 2).sum(axis=1))

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
    def deviation(self) -> NDArray[np.float64]:
        """``(bands,)`` standard deviation; 1 where a band is constant, which nothing could scale."""
        deviation = np.sqrt(self.squares / self.number)
        return np.where(deviation > 0, deviation, 1.0)
