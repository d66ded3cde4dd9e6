from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.tiles import Patch
from geoseg.training.augment import augment_patch, jitter, resize, zoom_factor
from geoseg.training.recipe import Augment

RANGE = (0.0, 255.0)


def coded_patch(side: int = 6) -> Patch:
    """A patch in which each pixel's value is its label: what moves one must move the other."""
    labels = np.arange(side * side, dtype=np.uint8).reshape(side, side)
    return Patch(np.stack([labels, labels]).astype(np.uint8), labels % 5 != 0, labels)


@given(st.integers(0, 2**32 - 1))
def test_pixels_mask_and_labels_move_together(seed: int) -> None:
    patch = augment_patch(coded_patch(), Augment(), RANGE, np.random.default_rng(seed))
    np.testing.assert_array_equal(patch.pixels[0], patch.labels)
    np.testing.assert_array_equal(patch.valid, patch.labels % 5 != 0)
    assert sorted(patch.labels.flat) == list(range(36))


def test_all_eight_symmetries_come_up() -> None:
    rng = np.random.default_rng(0)
    seen = {
        augment_patch(coded_patch(), Augment(), RANGE, rng).labels.tobytes() for _ in range(200)
    }
    assert len(seen) == 8


def test_nothing_asked_for_changes_nothing() -> None:
    patch = coded_patch()
    same = augment_patch(patch, Augment(flip=False, turn=False), RANGE, np.random.default_rng(1))
    assert all(np.array_equal(old, new) for old, new in zip(patch, same, strict=True))


def test_jitter_stretches_about_the_mean_and_stays_in_range() -> None:
    pixels = np.random.default_rng(0).uniform(100, 150, (3, 16, 16)).astype(np.float32)
    valid = np.ones((16, 16), bool)
    for seed in range(20):
        changed = jitter(pixels, valid, Augment(contrast=0.5), RANGE, np.random.default_rng(seed))
        np.testing.assert_allclose(changed.mean(axis=(1, 2)), pixels.mean(axis=(1, 2)), rtol=1e-4)
        assert 0.49 <= changed.std() / pixels.std() <= 1.51
        shifted = jitter(pixels, valid, Augment(brightness=1.0), RANGE, np.random.default_rng(seed))
        assert shifted.min() >= 0
        assert shifted.max() <= 255


def test_jitter_does_not_look_at_invalid_pixels() -> None:
    pixels = np.full((1, 4, 4), 100, np.float32)
    pixels[0, 0, 0] = np.nan
    changed = jitter(
        pixels, ~np.isnan(pixels[0]), Augment(contrast=0.5), RANGE, np.random.default_rng(0)
    )
    np.testing.assert_allclose(changed[0][~np.isnan(pixels[0])], 100, rtol=1e-5)


@pytest.mark.parametrize("side", [3, 12])
def test_resizing_keeps_constants_and_invents_no_label(side: int) -> None:
    labels = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((3, 3), np.uint8))
    patch = resize(
        Patch(np.full((2, 6, 6), 7, np.uint16), np.ones((6, 6), bool), labels), (side, side)
    )
    np.testing.assert_allclose(patch.pixels, np.full((2, side, side), 7.0), rtol=1e-6)
    assert patch.valid.all()
    assert set(patch.labels.flat) <= {1, 2, 3, 4}
    assert patch.labels[0, 0] == 1
    assert patch.labels[-1, -1] == 4


@pytest.mark.parametrize("nodata", [np.nan, np.inf, -9999, np.finfo(np.float32).min])
@given(st.integers(0, 2**32 - 1), st.integers(5, 80), st.sampled_from([0.002, 0.05, 0.5]))
def test_no_valid_pixel_is_mixed_from_invalid_ones(
    nodata: float, seed: int, side: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    valid = rng.random((40, 40)) > share
    pixels = np.where(valid, np.float32(50), np.float32(nodata))[None]
    patch = resize(Patch(pixels, valid, np.zeros((40, 40), np.uint8)), (side, side))
    np.testing.assert_allclose(patch.pixels[0][patch.valid], 50, rtol=1e-6)


def test_valid_pixels_stay_where_all_that_they_are_made_of_is_valid() -> None:
    valid = np.arange(40) < 25
    patch = resize(
        Patch(np.zeros((1, 40, 40)), np.tile(valid, (40, 1)), np.zeros((40, 40), np.uint8)),
        (60, 60),
    )
    np.testing.assert_array_equal(patch.valid, np.tile(np.arange(60) < 37, (60, 1)))


def test_zoom_is_even_on_a_logarithmic_axis() -> None:
    rng = np.random.default_rng(0)
    factors = np.array([zoom_factor(Augment(scale=(0.5, 2.0)), rng) for _ in range(2000)])
    assert factors.min() >= 0.5
    assert factors.max() <= 2.0
    assert np.mean(factors < 1) == pytest.approx(0.5, abs=0.05)
    assert zoom_factor(Augment(), rng) == 1.0
