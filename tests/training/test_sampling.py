from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.classes import ClassScheme
from geoseg.datasets.statistics import PixelSample, collect_statistics
from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError
from geoseg.training.patches import Patches
from geoseg.training.recipe import Augment, Recipe
from geoseg.training.sampling import Balanced, Target, Uniform, choose_sampler

MakeTile = Callable[..., Tile]
SCHEME = ClassScheme.from_names(["common", "rare", "never"])


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_window_lies_inside_and_shows_its_pixel(
    height: int, width: int, data: st.DataObject
) -> None:
    tall, wide = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    window = Target(0, row, col).window((height, width), (tall, wide), rng)
    assert (window.height, window.width) == (tall, wide)
    assert 0 <= window.row <= row < window.row_end <= height
    assert 0 <= window.col <= col < window.col_end <= width


def test_all_windows_that_show_a_pixel_are_equally_likely() -> None:
    rng = np.random.default_rng(0)
    starts = [Target(0, 5, 0).window((20, 1), (4, 1), rng).row for _ in range(2000)]
    assert np.bincount(starts, minlength=7)[2:6] == pytest.approx([500] * 4, rel=0.2)
    assert set(starts) == {2, 3, 4, 5}


def test_balanced_patches_show_each_class_equally_often(make_tile: MakeTile) -> None:
    labels = np.zeros((1, 128, 128), np.uint8)
    labels[0, 100:103, 7:10] = 1
    tiles = [make_tile("a", image=np.ones((3, 128, 128), np.uint8), labels=labels), make_tile("b")]
    tiles[1] = make_tile(
        "b", image=np.ones((3, 16, 16), np.uint8), labels=np.zeros((1, 16, 16), np.uint8)
    )
    sample = PixelSample(3)
    collect_statistics(tiles, SCHEME, sample=sample)
    shares = {}
    for sampling in ("uniform", "balanced"):
        still = Augment(turn=False, flip=False)
        recipe = Recipe(crop=16, sampling=sampling, augment=still)  # type: ignore[arg-type]
        patches = Patches(
            tiles, SCHEME, recipe, (0, 255), choose_sampler(recipe, tiles, sample.places)
        )
        shares[sampling] = np.mean([(patches[number][2] == 1).any() for number in range(200)])
    assert shares["uniform"] < 0.1
    assert 0.4 < shares["balanced"] < 0.65


def test_a_recipe_chooses_its_sampler(make_tile: MakeTile) -> None:
    tiles, none = [make_tile()], [np.zeros((0, 3), np.int32)]
    assert isinstance(choose_sampler(Recipe(), tiles, none), Uniform)
    assert isinstance(
        choose_sampler(Recipe(sampling="balanced"), tiles, [np.zeros((1, 3), np.int32)]), Balanced
    )
    with pytest.raises(ConfigError, match=r"train\.sampling: balanced needs labelled pixels in"):
        choose_sampler(Recipe(sampling="balanced"), tiles, none)
