"""Random numbers that belong to places, boxes, and the plan of streets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.scenes.town import (
    normal_noise,
    position_hash,
    random_stream,
    smooth_noise,
)

places = st.integers(-(10**6), 10**6)


@given(places, places, st.integers(0, 20), st.integers(0, 20))
def test_a_piece_of_a_field_equals_the_field_there(
    row: int, col: int, down: int, across: int
) -> None:
    y, x = (np.arange(start, start + 40) * 0.15 for start in (row, col))
    whole = smooth_noise(99, 4, y, x, 1.5)
    np.testing.assert_array_equal(
        smooth_noise(99, 4, y[down:], x[across:], 1.5), whole[down:, across:]
    )


def test_hashes_are_spread_evenly() -> None:
    numbers = position_hash(5, np.arange(-300, 300), np.arange(4000, 4600))
    assert np.unique(numbers).size > 0.999 * numbers.size
    bits = np.unpackbits(numbers.view(np.uint8)).reshape(-1, 32).mean(axis=0)
    assert np.abs(bits - 0.5).max() < 0.01


def test_normal_noise_is_normal_and_its_bands_are_independent() -> None:
    noise = normal_noise(1, 0, np.arange(300), np.arange(300)).reshape(4, -1)
    assert np.abs(noise.mean(axis=1)).max() < 0.01
    assert np.abs(noise.std(axis=1) - 1).max() < 0.01
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 0.02


def test_noise_and_streams_differ_by_seed_and_purpose() -> None:
    spots = np.arange(2.0)
    values = {
        smooth_noise(seed, purpose, spots, spots, 1.0).tobytes()
        for seed in range(50)
        for purpose in range(50)
    }
    assert len(values) == 2500
    first = {
        float(random_stream(seed, 1, i, -j).random())
        for seed in range(4)
        for i in range(9)
        for j in range(9)
    }
    assert len(first) == 4 * 81
    assert random_stream(2**40 + 1, 3).random() != random_stream(1, 3).random()
