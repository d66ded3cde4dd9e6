"""Normalization against the formula in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from geoseg.inference.normalize import Normalization
from geoseg.models import Model

MEAN, STD = (100.0, 50.0), (20.0, 40.0)


def pixels() -> torch.Tensor:
    data = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5)).astype(np.uint8)
    return torch.from_numpy(data)


def test_pixels_become_standard_scores_of_each_band() -> None:
    x = pixels()
    found = Normalization(MEAN, STD, (0.0, 255.0))(x, torch.ones((3, 4, 5), dtype=torch.bool))
    mean, std = np.array(MEAN).reshape(1, 2, 1, 1), np.array(STD).reshape(1, 2, 1, 1)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), (x.numpy() - mean) / std, rtol=1e-6, atol=1e-6)


def test_a_source_range_is_mapped_onto_the_value_range_and_clipped() -> None:
    # 1000 means -10, 3000 means 30: the value v means (v - 1000) / 50 - 10.
    normalize = Normalization((2.0,), (4.0,), (-10.0, 30.0), (1000.0, 3000.0))
    x = torch.tensor([0.0, 1000.0, 1600.0, 3000.0, 9999.0]).view(1, 1, 1, 5)
    found = normalize(x, torch.ones((1, 1, 5), dtype=torch.bool))
    expected = (np.array([-10.0, -10.0, 2.0, 30.0, 30.0]) - 2.0) / 4.0
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-6, atol=1e-6)


def test_each_band_may_have_ranges_of_its_own() -> None:
    x = pixels().float()
    valid = torch.ones((3, 4, 5), dtype=torch.bool)
    ranges, given = ((0.0, 255.0), (200.0, 400.0)), ((0.0, 1000.0), (100.0, 150.0))
    together = Normalization(MEAN, STD, ranges, given)(x, valid)
    for band in (0, 1):
        alone = Normalization(MEAN[band:][:1], STD[band:][:1], ranges[band], given[band])
        assert torch.equal(together[:, band], alone(x[:, band : band + 1], valid)[:, 0])


def test_invalid_pixels_of_all_bands_become_the_mean_and_the_others_stay() -> None:
    x = pixels().float()
    normalize = Normalization(MEAN, STD, (0.0, 255.0))
    plain = normalize(x, torch.ones((3, 4, 5), dtype=torch.bool))
    valid = torch.ones((3, 4, 5), dtype=torch.bool)
    valid[1, 2, 3] = False
    x[1, :, 2, 3] = torch.nan
    found = normalize(x, valid)
    assert found[1, :, 2, 3].tolist() == [0.0, 0.0]
    found[1, :, 2, 3] = plain[1, :, 2, 3]
    assert torch.equal(found, plain)


def test_the_pixels_that_come_in_are_left_alone() -> None:
    x = torch.full((1, 2, 3, 3), 7.0)
    Normalization(MEAN, STD, (0.0, 255.0), (0.0, 1.0))(x, torch.zeros((1, 3, 3), dtype=torch.bool))
    assert (x == 7.0).all()


def test_a_cards_normalization_is_its_own(make_model: Callable[..., Model]) -> None:
    card = make_model(bands=2).card
    assert Normalization.from_card(card, (1.0, 2.0)) == Normalization(
        (127.5, 127.5), (64.0, 64.0), (0.0, 255.0), (1.0, 2.0)
    )
    assert Normalization.from_card(card).source_range is None
