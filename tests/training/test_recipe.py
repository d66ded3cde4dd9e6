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
    ],
)
def test_numbers_that_make_no_sense_are_refused_at_birth(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)


def test_scales_are_given_small_to_large() -> None:
    with pytest.raises(ValueError, match=r"scale \[2.0, 0.5\]"):
        Augment(scale=(2.0, 0.5))
