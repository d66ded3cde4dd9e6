from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geoseg.datasets.tiles import Patch
from geoseg.training.augment import Sample, augment_sample, jitter, resize, zoom_factor
from geoseg.training.recipe import Augment
from geoseg.value_ranges import ValueRange

RANGE = (0.0, 255.0)
STILL = Augment(flip=False, turn=False)


def coded_sample(side: int = 6) -> Sample:
    """A sample in which each pixel's value is its label: what moves one must move the other."""
    labels = torch.arange(side * side, dtype=torch.uint8).reshape(side, side)
    return Sample(torch.stack([labels, labels]).float(), labels % 5 != 0, labels)


def sample_of(pixels: np.ndarray, valid: np.ndarray, labels: np.ndarray | None = None) -> Sample:
    unlabelled = np.zeros(valid.shape, np.uint8)
    return Sample.from_patch(Patch(pixels, valid, unlabelled if labels is None else labels))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float64", ">u2"])
def test_rasters_of_any_dtype_become_tensors_of_their_own(dtype: str) -> None:
    pixels = np.arange(8).reshape(2, 2, 2)[..., ::-1].astype(dtype)
    valid, labels = np.ones((2, 2), bool), np.full((2, 2), 3, np.uint8)
    sample = sample_of(pixels, valid, labels)
    assert (sample.pixels.dtype, sample.valid.dtype, sample.labels.dtype) == (
        torch.float32,
        torch.bool,
        torch.uint8,
    )
    np.testing.assert_array_equal(sample.pixels, pixels.astype(float))
    sample.labels[:] = 0
    sample.valid[:] = False
    assert valid.all()
    assert (labels == 3).all()


@given(st.integers(0, 2**32 - 1))
def test_pixels_mask_and_labels_move_together(seed: int) -> None:
    sample = augment_sample(coded_sample(), Augment(), RANGE, np.random.default_rng(seed))
    assert torch.equal(sample.pixels[0], sample.labels.float())
    assert torch.equal(sample.valid, sample.labels % 5 != 0)
    assert sorted(sample.labels.flatten().tolist()) == list(range(36))


def orientations(augment: Augment) -> list[list[int]]:
    """The corners of an augmented sample, for each of 400 draws."""
    rng = np.random.default_rng(0)
    made = (augment_sample(coded_sample(2), augment, RANGE, rng) for _ in range(400))
    return [sample.labels.flatten().tolist() for sample in made]


def test_half_of_all_samples_are_mirrored_left_right() -> None:
    seen = orientations(Augment(turn=False))
    assert {tuple(corners) for corners in seen} == {(0, 1, 2, 3), (1, 0, 3, 2)}
    assert seen.count([0, 1, 2, 3]) == pytest.approx(200, abs=40)


def test_all_four_quarter_turns_come_up_alike() -> None:
    seen = orientations(Augment(flip=False))
    for corners in ([0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert seen.count(corners) == pytest.approx(100, abs=35)


def test_without_options_nothing_changes() -> None:
    sample = coded_sample()
    same = augment_sample(sample, STILL, RANGE, np.random.default_rng(1))
    assert all(torch.equal(old, new) for old, new in zip(sample, same, strict=True))


def noise(low: float, high: float, bands: int = 3) -> Sample:
    pixels = np.random.default_rng(0).uniform(low, high, (bands, 16, 16))
    return sample_of(pixels, np.ones((16, 16), bool))


def changed(sample: Sample, seed: int, value_range: ValueRange = RANGE, **how: float) -> Tensor:
    augment = Augment(flip=False, turn=False, **how)  # type: ignore[arg-type]
    return augment_sample(sample, augment, value_range, np.random.default_rng(seed)).pixels


def test_brightness_moves_each_band_by_its_own_range() -> None:
    sample = noise(100, 150)
    together = changed(sample, 4, ((0.0, 255.0), (0.0, 1000.0), (90.0, 160.0)), brightness=0.2)
    for band, limits in enumerate([(0.0, 255.0), (0.0, 1000.0), (90.0, 160.0)]):
        assert torch.equal(together[band], changed(sample, 4, limits, brightness=0.2)[band])


def test_contrast_stretches_each_band_about_its_own_mean() -> None:
    sample = noise(100, 150)
    sample.pixels[1] += 60
    gains = []
    for seed in range(200):
        pixels = changed(sample, seed, contrast=0.4)
        torch.testing.assert_close(pixels.mean((1, 2)), sample.pixels.mean((1, 2)))
        gain = pixels.std((1, 2)) / sample.pixels.std((1, 2))
        torch.testing.assert_close(gain, gain[:1].expand(3))
        gains.append(float(gain[0]))
    assert (min(gains), max(gains)) == pytest.approx((0.6, 1.4), abs=0.02)


@pytest.mark.parametrize("value_range", [(0.0, 255.0), (0.0, 10_000.0), (-1.0, 1.0)])
def test_brightness_shifts_by_a_share_of_the_value_range(value_range: tuple[float, float]) -> None:
    width = value_range[1] - value_range[0]
    middle = sum(value_range) / 2
    sample = noise(middle - 0.01 * width, middle + 0.01 * width, bands=5)
    shifts = []
    for seed in range(200):
        moved = (changed(sample, seed, value_range, brightness=0.2) - sample.pixels) / width
        shifts.append(float(moved.mean()))
        torch.testing.assert_close(moved, torch.full_like(moved, shifts[-1]), rtol=0, atol=1e-5)
    assert (min(shifts), max(shifts)) == pytest.approx((-0.2, 0.2), abs=0.01)


def test_changed_pixels_stay_within_the_value_range() -> None:
    sample = noise(0, 255)
    pixels = torch.stack(
        [changed(sample, seed, brightness=1.0, contrast=1.0) for seed in range(20)]
    )
    assert (float(pixels.min()), float(pixels.max())) == (0, 255)


def test_jitter_does_not_look_at_invalid_pixels() -> None:
    pixels = np.full((1, 4, 4), 100, np.float32)
    pixels[0, 0, 0] = np.nan
    sample = sample_of(pixels, ~np.isnan(pixels[0]))
    rng = np.random.default_rng(0)
    found = jitter(sample, Augment(contrast=0.5), RANGE, rng).pixels
    torch.testing.assert_close(found[0][sample.valid], torch.full((15,), 100.0))
    nothing = sample._replace(valid=torch.zeros(4, 4, dtype=torch.bool))
    same = jitter(nothing, Augment(contrast=0.5, brightness=0.5), RANGE, rng).pixels
    torch.testing.assert_close(same, sample.pixels, equal_nan=True)


@pytest.mark.parametrize("side", [3, 12])
def test_resizing_keeps_constants_and_invents_no_label(side: int) -> None:
    labels = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((3, 3), np.uint8))
    whole = sample_of(np.full((2, 6, 6), 7, np.uint16), np.ones((6, 6), bool), labels)
    sample = resize(whole, (side, side))
    torch.testing.assert_close(sample.pixels, torch.full((2, side, side), 7.0))
    assert sample.valid.all()
    assert set(sample.labels.flatten().tolist()) <= {1, 2, 3, 4}
    assert (sample.labels[0, 0], sample.labels[-1, -1]) == (1, 4)


def test_enlarging_by_two_is_bilinear_about_pixel_centres() -> None:
    sample = sample_of(
        np.array([[[0.0, 8.0]]]), np.ones((1, 2), bool), np.array([[0, 1]], np.uint8)
    )
    larger = resize(sample, (1, 4))
    assert larger.pixels.tolist() == [[[0, 2, 6, 8]]]
    assert larger.labels.tolist() == [[0, 0, 1, 1]]


def test_shrinking_takes_all_pixels_into_account() -> None:
    stripes = np.tile([0.0, 100.0], 32)[None, None].repeat(64, 1)
    small = resize(sample_of(stripes, np.ones((64, 64), bool)), (16, 16)).pixels
    torch.testing.assert_close(small[:, 2:-2, 2:-2], torch.full((1, 12, 12), 50.0))


@pytest.mark.parametrize("nodata", [np.nan, np.inf, -9999, np.finfo(np.float32).min])
@given(st.integers(0, 2**32 - 1), st.integers(5, 80), st.sampled_from([0.002, 0.05, 0.5]))
def test_no_valid_pixel_is_mixed_from_invalid_ones(
    nodata: float, seed: int, side: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    valid = rng.random((40, 40)) > share
    pixels = np.where(valid, np.float32(50), np.float32(nodata))[None]
    found = resize(sample_of(pixels, valid), (side, side))
    np.testing.assert_allclose(found.pixels[0][found.valid], 50, rtol=1e-6)


def test_pixels_stay_valid_where_all_that_they_are_made_of_is_valid() -> None:
    valid = np.arange(40) < 25
    whole = sample_of(np.zeros((1, 40, 40)), np.tile(valid, (40, 1)))
    expected = np.tile(np.arange(60) < 37, (60, 1))
    np.testing.assert_array_equal(resize(whole, (60, 60)).valid, expected)


def test_zoom_is_even_on_a_logarithmic_axis() -> None:
    rng = np.random.default_rng(0)
    factors = np.array([zoom_factor(Augment(scale=(0.5, 2.0)), rng) for _ in range(2000)])
    assert factors.min() >= 0.5
    assert factors.max() <= 2.0
    assert np.mean(factors < 1) == pytest.approx(0.5, abs=0.05)
    assert np.mean(factors < 0.5**0.5) == pytest.approx(0.25, abs=0.05)
    assert zoom_factor(Augment(), rng) == 1.0
