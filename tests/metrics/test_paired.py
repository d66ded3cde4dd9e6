from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from geoseg.metrics.paired import paired_difference

score = st.floats(0.0, 1.0).map(lambda value: round(value, 4))


@given(st.lists(st.tuples(score, score), min_size=2, max_size=9))
def test_mean_and_interval_are_scipys(pairs: list[tuple[float, float]]) -> None:
    scores, baseline = zip(*pairs, strict=True)
    found = paired_difference(scores, baseline)
    assert found.mean == pytest.approx(np.mean(np.subtract(scores, baseline)))
    if np.ptp(np.subtract(scores, baseline)) > 1e-6:
        expected = ttest_rel(scores, baseline).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_pair_says_nothing_about_the_spread() -> None:
    assert paired_difference([0.5], [0.25]) == (0.25, -np.inf, np.inf)


def test_scores_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores for 1 of the baseline; give pairs"):
        paired_difference([0.5, 0.6], [0.5])
    with pytest.raises(ValueError, match="give pairs"):
        paired_difference([], [])
    with pytest.raises(ValueError, match="give pairs"):
        paired_difference(np.zeros((2, 2)), np.zeros((2, 2)))
