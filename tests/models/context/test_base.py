from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from geoseg.errors import ModelError
from geoseg.models import HEADS


@pytest.mark.parametrize("name", HEADS)
def test_a_preset_that_a_system_lacks_is_refused_with_those_it_has(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} has no preset 'nosuch'; it has geoseg"):
        HEADS[name]((3, 3), 5, "nosuch")


@pytest.mark.parametrize(
    ("system", "options", "message"),
    [
        (
            "hcnet",
            {"chanels": 8},
            "hcnet has no option 'chanels'; it has resizing, channels, prior_channels,",
        ),
        ("pixel", {"channels": 8}, "pixel has no option 'channels'; it has none"),
        ("hcnet", {"channels": 0}, "hcnet: option channels=0: it should be greater than 0"),
        ("hcnet", {"channels": True}, "hcnet: option channels=True: it should be a valid integer"),
        ("hcnet", {"channels": 8.0}, "hcnet: option channels=8.0: it should be a valid integer"),
        ("hcnet", {"norm": "l2"}, "option norm='l2': it should be 'relu', 'softplus', 'raw' or 's"),
        ("hcnet", {"pixel": 1}, "hcnet: option pixel=1: it should be a valid boolean"),
        ("apcnet", {"scales": ()}, r"option scales=\(\): Tuple should have at least 1 item"),
        ("apcnet", {"scales": (1, 0)}, r"option scales\[1\]=0: it should be greater than 0"),
        ("apcnet", {"scales": 3}, "apcnet: option scales=3: it should be a valid tuple"),
        ("apcnet", {"scales": (True,)}, r"option scales\[0\]=True: it should be a valid integer"),
        ("fcn", {"dropout": -1}, "option dropout=-1: it should be greater than or equal to 0"),
        ("ranet", {"boundary": False, "semantic": False}, "ranet: option boundary=False and sem"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_with_what_would(
    system: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        HEADS[system]((8, 8), 5, **options)


def test_options_replace_those_of_the_preset_and_leave_the_others() -> None:
    options = HEADS["apcnet"].choose_options("paper", {"channels": 8, "dropout": 0})
    assert (options.channels, options.dropout) == (8, 0.0)
    assert options.residual == "plain"
    assert HEADS["apcnet"].presets["paper"].channels == 512  # type: ignore[attr-defined]


def test_options_stay_as_a_head_was_built_with_them() -> None:
    head = HEADS["fcn"]((8,), 5, channels=16)
    with pytest.raises(FrozenInstanceError):
        head.options.channels = 32
