from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from geoseg.errors import ConfigError
from geoseg.training.recipe import Augment, Recipe


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"steps": 10, "warmup": 10}, "warmup of 10 steps leaves nothing of 10 steps"),
        ({"class_weight_range": (2.0, 1.0)}, "class_weight_range: the first number"),
        ({"optimizer": "adam"}, "'sgd' or 'adamw'"),
        ({"lerning_rate": 1.0}, "lerning_rate"),
        ({"batch": 8, "accumulate": 3}, "batch of 8 does not split into 3 parts"),
        ({"crop": (512, 1024)}, r"crop \[512, 1024\] is not square, .*; set augment.turn to false"),
        ({"loss": ["dice", "jaccard"]}, "jaccard"),
        ({"loss": {"dice": 0.0}}, "greater than 0"),
        ({"loss": {}}, "at least 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("dice", {"dice": 1.0}),
        (["cross_entropy", "dice"], {"cross_entropy": 1.0, "dice": 1.0}),
        ({"focal": 0.5, "lovasz": 2}, {"focal": 0.5, "lovasz": 2.0}),
    ],
)
def test_losses_are_a_name_several_or_each_with_its_weight(
    given: Any, full: dict[str, float]
) -> None:
    assert Recipe(loss=given).loss == full


def test_crops_are_square_unless_height_and_width_are_given() -> None:
    assert Recipe(crop=256).crop_size == (256, 256)
    assert Recipe(crop=(512, 1024), augment=Augment(turn=False)).crop_size == (512, 1024)


def test_scales_are_given_small_to_large() -> None:
    with pytest.raises(ValueError, match=r"scale \[2.0, 0.5\]"):
        Augment(scale=(2.0, 0.5))


def documented_defaults() -> dict[str, Any]:
    """Key and default of each row of the table in docs/train.md."""
    text = (Path(__file__).parents[2] / "docs/train.md").read_text()
    recipe = text[text.index("## The recipe") : text.index("## Windows")]
    defaults = {}
    for keys, column in re.findall(r"^\| (`.*?`) \| (.*?) \|", recipe, re.MULTILINE):
        names = re.findall("`(.*?)`", keys)
        values = yaml.safe_load(f"[{column.replace('`', '')}]")
        defaults |= dict(zip(names, values, strict=True))
    return defaults


def test_defaults_are_the_documented_ones() -> None:
    documented = documented_defaults()
    assert len(documented) > 35
    assert documented.pop("aux_weights") == "the papers'"
    assert Recipe().aux_weights == {}
    assert Recipe().loss == {documented.pop("loss"): 1.0}
    for key, value in documented.items():
        owner = Recipe().augment if key.startswith("augment.") else Recipe()
        found = getattr(owner, key.removeprefix("augment."))
        assert (list(found) if isinstance(found, tuple) else found) == value, key


@pytest.mark.parametrize(
    ("key", "allowed", "refused"),
    [
        ("steps", 1, 0),
        ("batch", 1, 0),
        ("accumulate", 1, 0),
        ("crop", 8, 7),
        ("learning_rate", 1e-9, 0.0),
        ("encoder_lr_factor", 0.0, -0.1),
        ("momentum", 0.0, -0.1),
        ("momentum", 0.999, 1.0),
        ("weight_decay", 0.0, -0.1),
        ("power", 0.0, -0.1),
        ("warmup", 0, -1),
        ("clip", 1e-9, 0.0),
        ("ema", 0.0, -0.1),
        ("ema", 0.9999, 1.0),
        ("seed", 0, -1),
        ("seed", 2**63 - 1, 2**63),
        ("focal_gamma", 0.0, -0.1),
        ("ohem_threshold", 1.0, 1.1),
        ("ohem_threshold", 1e-9, 0.0),
        ("ohem_share", 1.0, 1.1),
        ("ohem_share", 1e-9, 0.0),
        ("class_weights", (1e-9,), (0.0,)),
        ("class_weight_range", (1.0, 1.0), (0.0, 1.0)),
        ("aux_weights", {"prior": 0.0}, {"prior": -0.1}),
        ("validate_every", 1, 0),
        ("save_every", 1, 0),
        ("patience", 1, 0),
        ("pictures", 0, -1),
        ("log_every", 1, 0),
        ("workers", 0, -1),
        ("cache", 0.0, -0.1),
    ],
)
def test_the_last_allowed_value_is_allowed_and_the_next_refused(
    key: str, allowed: Any, refused: Any
) -> None:
    assert getattr(Recipe(**{key: allowed}), key) == allowed
    with pytest.raises(ValueError, match=key):
        Recipe(**{key: refused})


@pytest.mark.parametrize("key", ["brightness", "contrast"])
def test_changes_of_light_are_shares(key: str) -> None:
    assert getattr(Augment(**{key: 1.0}), key) == 1.0
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=key):
            Augment(**{key: wrong})


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            Recipe(crop=513),
            "513 x 513 pixels of tiles of 64 x 80 at most; a crop of 64 lies inside",
        ),
        (
            Recipe(crop=64, augment=Augment(scale=(0.1, 1))),
            r"640 x 640 pixels \(at the lower end of train.augment.scale, 0.1\) .* crop of 8 lies",
        ),
        (Recipe(crop=(8, 641), augment=Augment(turn=False)), "8 x 641 pixels of tiles"),
    ],
)
def test_patches_far_larger_than_all_tiles_are_refused(recipe: Recipe, words: str) -> None:
    tiles = [(10, 10), (64, 80), (16, 600)]
    if recipe.crop_size == (8, 641):
        tiles.remove((16, 600))
    with pytest.raises(ConfigError, match=words):
        recipe.refuse_large_crop(tiles)


def test_patches_of_up_to_eight_times_a_tile_are_read_and_warned_of() -> None:
    Recipe(crop=512).refuse_large_crop([(64, 80), (10, 10)])
    Recipe(crop=64, augment=Augment(scale=(0.125, 2))).refuse_large_crop([(64, 64)])
    assert Recipe(crop=64).padding_warnings(8, [(64, 80), (10, 10)]) == []
    (line,) = Recipe(crop=72).padding_warnings(8, [(64, 80), (10, 10)])
    assert "72 x 72 pixels are larger than all training tiles (64 x 80 at most)" in line
    assert len(Recipe(crop=70).padding_warnings(8, [(64, 80)])) == 2


def test_the_tile_that_a_patch_is_compared_with_is_one_tile() -> None:
    sides = [(600, 16), (16, 600)]  # together they would hold it
    with pytest.raises(ConfigError, match="tiles of 600 x 16 at most"):
        Recipe(crop=512).refuse_large_crop(sides)
