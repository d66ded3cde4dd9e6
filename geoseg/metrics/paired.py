"""How much one system is better than another, measured with the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A mean difference and the interval that holds the true one with 95 % confidence."""

    mean: float
    low: float
    high: float


def paired_difference(scores: Sequence[float], baseline: Sequence[float]) -> Difference:
    """The mean of the differences pair by pair, with Student's t interval.

    Args:
        scores: one a pair.
        baseline: the scores to compare with, in the same order.

    Returns:
        Mean and interval; the interval is infinite where there is only one pair.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    differences = np.subtract(scores, baseline)
    if np.ndim(scores) != 1 or len(scores) != len(baseline) or not len(scores):
        raise ValueError(f"{len(scores)} scores for {len(baseline)} of the baseline; give pairs")
    mean, pairs = float(differences.mean()), len(differences)
    if pairs == 1:
        return Difference(mean, -np.inf, np.inf)
    # Student's quantile, loaded where it is needed; scipy.stats, which wraps it, takes most of a
    # second to import.
    from scipy.special import stdtrit

    # mean +- t(n - 1, 97.5 %) s / sqrt(n), s the sample's standard deviation.
    quantile = stdtrit(pairs - 1, (1 + CONFIDENCE) / 2)
    margin = float(quantile * differences.std(ddof=1) / pairs**0.5)
    return Difference(mean, mean - margin, mean + margin)
