"""How much one thing is better than another, measured on the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A mean difference and the interval that holds the true one with 95 % confidence."""

    mean: float
    low: float
    high: float


def paired_difference(figures: Sequence[float], baseline: Sequence[float]) -> Difference:
    """The mean of the differences pair by pair, with Student's t interval of ``n - 1`` degrees of freedom.

    Args:
        figures: one a pair.
        baseline: the others' figures, in the same order.

    Returns:
        Mean and interval; the interval is infinite where there is only one pair.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    differences = np.subtract(figures, baseline)
    if np.ndim(figures) != 1 or len(figures) != len(baseline) or not len(figures):
        raise ValueError(
            f"{len(figures)} figures for {len(baseline)} of the baseline; pairs are needed"
        )
    mean, pairs = float(differences.mean()), len(differences)
    if pairs == 1:
        return Difference(mean, -np.inf, np.inf)
    reach = float(stdtrit(pairs - 1, (1 + CONFIDENCE) / 2) * differences.std(ddof=1) / pairs**0.5)
    return Difference(mean, mean - reach, mean + reach)
