import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.tiling import TileGrid, edge_weights, weight_totals


@given(
    st.integers(1, 64).flatmap(
        lambda window: st.tuples(st.just(window), st.integers(0, window - 1))
    )
)
def test_weights_are_symmetric_never_zero_and_never_above_one(sizes):
    window, overlap = sizes
    weights = edge_weights(window, overlap, first=False, last=False)
    np.testing.assert_array_equal(weights, weights[::-1])
    assert (weights > 0).all()
    assert (weights <= 1).all()


def test_a_raster_edge_is_not_a_window_edge():
    weights = edge_weights(8, 3, first=True, last=False)
    np.testing.assert_array_equal(weights, np.array([1, 1, 1, 1, 1, 0.75, 0.5, 0.25], np.float32))
    np.testing.assert_array_equal(edge_weights(8, 3, first=True, last=True), np.ones(8, np.float32))


@given(
    st.integers(1, 120),
    st.integers(1, 24).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, w - 1))),
)
def test_totals_are_the_sum_over_all_windows(length, sizes):
    window, overlap = sizes
    starts = TileGrid(length, 1, window, overlap).row_starts
    expected = np.zeros(length + window)
    for index, start in enumerate(starts):
        expected[start : start + window] += edge_weights(
            window, overlap, first=index == 0, last=index == len(starts) - 1
        )
    totals = weight_totals(starts, length, window, overlap)
    np.testing.assert_allclose(totals, expected[:length], rtol=1e-6)
    assert (totals > 0).all()
