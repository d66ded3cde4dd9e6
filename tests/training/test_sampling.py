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
from geoseg.tiling import Window
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


def test_all_windows_that_show_a_pixel_are_alike() -> None:
    rng = np.random.default_rng(0)
    starts = [Target(0, 5, 0).window((20, 1), (4, 1), rng).row for _ in range(2000)]
    assert np.bincount(starts, minlength=7)[2:6] == pytest.approx([500] * 4, rel=0.2)
    assert set(starts) == {2, 3, 4, 5}


def test_the_sample_is_even_whatever_the_pieces() -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[:, 45:] = 1
    labels[0] = 255
    hits = np.zeros((40, 50), int)
    for seed in range(150):
        sample = PixelSample(3, kept=60, seed=seed)
        for row in range(0, 40, 8):
            sample.add(7, Window(row, 0, 8, 50), labels[row : row + 8])
        assert [len(places) for places in sample.places] == [60, 60, 0]
        for position, places in enumerate(sample.places):
            assert (places[:, 0] == 7).all()
            assert (labels[places[:, 1], places[:, 2]] == position).all()
            assert len(np.unique(places, axis=0)) == len(places)
            np.add.at(hits, (places[:, 1], places[:, 2]), 1)
    quarters = [hits[1:20, :45].mean(), hits[20:, :45].mean()]
    assert quarters == pytest.approx([150 * 60 / (39 * 45)] * 2, rel=0.1)


def test_few_pixels_are_all_kept() -> None:
    sample = PixelSample(1, kept=10)
    sample.add(0, Window(3, 4, 2, 2), np.array([[0, 255], [255, 0]], np.uint8))
    assert sorted(map(tuple, sample.places[0].tolist())) == [(0, 3, 4), (0, 4, 5)]


def test_balanced_patches_show_each_class_alike(make_tile: MakeTile) -> None:
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
        recipe = Recipe(crop=16, sampling=sampling, augment=Augment(turn=False, flip=False))  # type: ignore[arg-type]
        patches = Patches(
            tiles, SCHEME, recipe, (0, 255), choose_sampler(recipe, tiles, sample.places)
        )
        shares[sampling] = np.mean([(patches[number][2] == 1).any() for number in range(200)])
    assert shares["uniform"] < 0.1
    assert 0.4 < shares["balanced"] < 0.65


def test_the_recipe_chooses(make_tile: MakeTile) -> None:
    tiles, none = [make_tile()], [np.zeros((0, 3), np.int32)]
    assert isinstance(choose_sampler(Recipe(), tiles, none), Uniform)
    assert isinstance(
        choose_sampler(Recipe(sampling="balanced"), tiles, [np.zeros((1, 3), np.int32)]), Balanced
    )
    with pytest.raises(ConfigError, match=r"train\.sampling: balanced needs the labelled pixels"):
        choose_sampler(Recipe(sampling="balanced"), tiles, none)
