from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.errors import VectorError
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


def test_rows_and_columns_of_the_frame_are_read_as_regions_and_classes() -> None:
    found = find_components(np.array([[7, 7, 9], [254, 7, 255]], np.uint8), None)
    assert found.framed.shape == (4, 5)
    inside = slice(1, -1)
    lines = {
        "top": (1, inside),
        "bottom": (-2, inside),
        "left": (inside, 1),
        "right": (inside, -2),
    }
    read = {name: [x.tolist() for x in found.line(*place)] for name, place in lines.items()}
    assert read == {
        "top": [[0, 0, 1], [7, 7, 9]],
        "bottom": [[-1, 0, -1], [255, 7, 255]],
        "left": [[0, -1], [7, 255]],
        "right": [[1, -1], [9, 255]],
    }
    assert found.region_at(np.array([0, 6, 8])).tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "confidence"),
    [
        (np.zeros((2, 2), np.int16), None),
        (np.zeros(4, np.uint8), None),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.int16)),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(
    labels: np.ndarray, confidence: np.ndarray | None
) -> None:
    with pytest.raises(VectorError, match=r"of shape \(.*\) and type .*; .* uint8"):
        find_components(labels, confidence)


def test_confidence_is_added_up_alike_however_many_runs_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    labels, confidence = random.integers(0, 256, (2, 40, 50), np.uint8) // np.uint8([[[64]], [[1]]])
    once = find_components(labels, confidence).confidence_sum
    monkeypatch.setattr("geoseg.vector.components._RUNS", 7)
    several = find_components(labels, confidence).confidence_sum
    assert once is not None
    assert several is not None
    assert once.sum() == confidence.sum()
    np.testing.assert_array_equal(once, several)
