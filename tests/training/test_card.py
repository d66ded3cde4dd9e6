from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.datasets.statistics import Statistics
from geoseg.errors import ConfigError
from geoseg.models import Card, create_model
from geoseg.training.card import make_card

SCHEME = ClassScheme.from_names(["dark", "bright"])
PIXELS = np.array([[[10, 20]], [[30, 50]]], np.uint8)
STATISTICS = Statistics.from_window(
    PIXELS, np.ones((1, 2), bool), np.array([[0, 1]], np.uint8), classes=2
)


def card(value_range: tuple[float, float] = (0.0, 255.0), **given: Any) -> Card:
    spec = create_model("pixel", classes=2, in_channels=2).spec
    options = {"training": {"steps": 5}, "window": 64, "overlap": 16, "license": "CC0-1.0"}
    bands = ("red", "green")
    return make_card(spec, SCHEME, bands, value_range, STATISTICS, **{**options, **given})


def test_mean_and_deviation_are_measured_unless_given() -> None:
    made = card()
    assert (made.mean, made.std) == ((15.0, 40.0), (5.0, 10.0))
    given = card(mean=(1.0, 2.0), std=(3.0, 4.0))
    assert (given.mean, given.std) == ((1.0, 2.0), (3.0, 4.0))
    assert (given.bands, given.training) == (made.bands, made.training)


def test_the_card_says_what_it_was_given() -> None:
    made = card()
    assert (made.bands, made.classes, made.value_range) == (("red", "green"), SCHEME, (0.0, 255.0))
    assert (made.window, made.overlap, made.license) == (64, 16, "CC0-1.0")
    assert made.training == {"steps": 5, "class_pixels": {"dark": 1, "bright": 1}}


@pytest.mark.parametrize("value_range", [(0.0, 49.0), (11.0, 255.0)])
def test_values_outside_the_range_are_refused(value_range: tuple[float, float]) -> None:
    assert card((10.0, 50.0)).value_range == (10.0, 50.0)
    with pytest.raises(
        ConfigError,
        match=r"data\.value_range: \[.*\], but the training rasters hold 10 to 50; give",
    ):
        card(value_range)


@pytest.mark.parametrize("key", ["mean", "std"])
def test_one_number_is_needed_for_each_band(key: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"data\.{key}: 3 numbers for 2 bands; give one for each band"
    ):
        card(**{key: (1.0, 2.0, 3.0)})
