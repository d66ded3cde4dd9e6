from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.errors import ConfigError
from geoseg.training.class_weights import choose_class_weights, median_frequency_weights
from geoseg.training.recipe import Recipe


def test_median_frequency_weights_are_the_papers() -> None:
    # f = .5 .3 .2, median .3
    np.testing.assert_allclose(median_frequency_weights(np.array([50, 30, 20])), [0.6, 1.0, 1.5])


def test_weights_are_clipped_to_a_tenth_and_ten_by_default() -> None:
    weights = median_frequency_weights(np.array([10**6, 10**3, 1]))
    np.testing.assert_allclose(weights, [0.1, 1.0, 10.0])


def test_without_any_label_all_weights_are_one() -> None:
    np.testing.assert_array_equal(median_frequency_weights(np.zeros(3, np.int64)), [1, 1, 1])


@given(arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 10**6)))
def test_weights_keep_to_the_clip_and_absent_classes_do_not_count(counts: np.ndarray) -> None:
    weights = median_frequency_weights(counts, (0.2, 5.0))
    assert weights.dtype == np.float32
    assert (weights >= np.float32(0.2)).all()
    assert (weights <= 5).all()
    np.testing.assert_array_equal(weights[counts == 0], 1.0)
    np.testing.assert_allclose(
        weights[counts > 0], median_frequency_weights(counts[counts > 0], (0.2, 5.0))
    )


def test_a_recipe_chooses_its_weights() -> None:
    counts = np.array([60, 20])
    recipe = Recipe(class_weights="median", class_weight_range=(0.9, 1.5))
    np.testing.assert_allclose(choose_class_weights(recipe, counts), [0.9, 1.5])
    np.testing.assert_array_equal(
        choose_class_weights(Recipe(class_weights="none"), counts), [1, 1]
    )
    given = choose_class_weights(Recipe(class_weights=(2.0, 0.25)), counts)
    np.testing.assert_array_equal(given, np.array([2, 0.25], np.float32))
    assert given.dtype == np.float32
    with pytest.raises(
        ConfigError, match=r"train\.class_weights: 3 numbers for 2 classes; give one each"
    ):
        choose_class_weights(Recipe(class_weights=(1.0, 1.0, 1.0)), counts)
