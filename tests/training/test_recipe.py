from __future__ import annotations

from typing import Any

import pytest

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
def test_numbers_that_make_no_sense_are_refused_at_birth(
    wrong: dict[str, Any], message: str
) -> None:
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
