from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.vector.components import find_components


def flooded(labels: np.ndarray) -> np.ndarray:
    """Region of each pixel, flooded from its first pixel; -1 where there is none."""
    regions = np.full(labels.shape, -1)
    count = 0
    for seed in zip(*np.nonzero(labels < 254), strict=True):
        if regions[seed] >= 0:
            continue
        front = [seed]
        while front:
            row, col = front.pop()
            inside = 0 <= row < labels.shape[0] and 0 <= col < labels.shape[1]
            if inside and regions[row, col] < 0 and labels[row, col] == labels[seed]:
                regions[row, col] = count
                front += [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
        count += 1
    return regions


@settings(max_examples=100, deadline=None)
@given(
    arrays(
        np.uint8,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.sampled_from([0, 1, 2, 254, 255]),
    )
)
def test_regions_are_those_of_a_flood_fill(labels: np.ndarray) -> None:
    found = find_components(labels, labels)
    expected = flooded(labels)
    rows = found.run.reshape(found.framed.shape)[1:-1, 1:-1]
    np.testing.assert_array_equal(found.region_of_run[rows], expected)
    inside = expected >= 0
    np.testing.assert_array_equal(found.pixels, np.bincount(expected[inside]))
    np.testing.assert_array_equal(
        found.confidence_sum, np.bincount(expected[inside], labels[inside])
    )
    assert all(
        np.all(labels[expected == region] == class_id)
        for region, class_id in enumerate(found.class_id)
    )


def test_a_long_winding_region_is_one() -> None:
    snake = np.zeros((201, 50), np.uint8)
    snake[1::4, :-1] = snake[3::4, 1:] = 1
    assert np.count_nonzero(find_components(snake, None).class_id == 0) == 1
