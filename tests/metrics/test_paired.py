import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from geoseg.metrics.paired import paired_difference

figure = st.floats(0.0, 1.0).map(lambda value: round(value, 4))


@given(st.lists(st.tuples(figure, figure), min_size=2, max_size=9))
def test_mean_and_interval_are_scipys(pairs):
    figures, baseline = zip(*pairs, strict=True)
    found = paired_difference(figures, baseline)
    assert found.mean == pytest.approx(np.mean(np.subtract(figures, baseline)))
    if np.ptp(np.subtract(figures, baseline)) > 1e-6:
        expected = ttest_rel(figures, baseline).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_pair_tells_nothing_of_the_spread():
    assert paired_difference([0.5], [0.25]) == (0.25, -np.inf, np.inf)


def test_what_is_no_pair_is_refused():
    with pytest.raises(ValueError, match="2 figures for 1 of the baseline; pairs are needed"):
        paired_difference([0.5, 0.6], [0.5])
    with pytest.raises(ValueError, match="pairs are needed"):
        paired_difference([], [])
