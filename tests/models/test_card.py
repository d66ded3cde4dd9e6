from __future__ import annotations

import json
import math
from typing import Any

import pytest

from geoseg.classes import ISPRS, ClassScheme
from geoseg.errors import ModelError
from geoseg.models import Card, ModelSpec

SPEC = ModelSpec("hcnet", "resnet18", 8, 3, 6)
FACTS: dict[str, Any] = {
    "spec": SPEC,
    "classes": ISPRS,
    "bands": ("nir", "red", "green"),
    "value_range": (0.0, 255.0),
    "mean": (1.0, 2.0, 3.0),
    "std": (1.0, 2.0, 3.0),
}


def test_json_gives_the_card_back() -> None:
    card = Card(
        **FACTS,
        window=256,
        overlap=0,
        ground_sampling=0.1,
        training={"steps": 3},
        license="CC0-1.0",
    )
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json(Card(**FACTS).to_json()) == Card(**FACTS)
    ranges = ((0.0, 255.0), (0.0, 255.0), (200.0, 400.0))
    mixed = Card(**{**FACTS, "value_range": ranges})
    assert Card.from_json(mixed.to_json()) == mixed
    assert (mixed.ranges, Card(**FACTS).ranges) == (ranges, ((0.0, 255.0),) * 3)


def test_a_card_from_before_the_choice_of_resizing_keeps_what_its_network_was() -> None:
    options = {"relation": "two", "resizing": "openseg"}
    spec = ModelSpec("ocrnet", "resnet18", 8, 3, 6, "released", options)
    document = json.loads(Card(**{**FACTS, "spec": spec}).to_json())
    assert Card.from_json(json.dumps(document)).spec.options["resizing"] == "openseg"
    del document["spec"]["options"]["resizing"]
    assert Card.from_json(json.dumps(document)).spec.options["resizing"] == "own"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"classes": ClassScheme.from_names(["a", "b"])},
            "2 classes are named, the network has 6",
        ),
        ({"bands": ("red",)}, "bands has 1 entries, the network takes 3 bands"),
        ({"bands": ("red", "red", "blue")}, "bands red, red, blue: names must differ"),
        ({"mean": (1.0,)}, "mean has 1 entries, the network takes 3 bands"),
        ({"std": (1.0, 0.0, 1.0)}, r"std\[1\]: 0.0 is refused; it should be greater than 0"),
        ({"mean": (1.0, math.nan, 1.0)}, r"mean\[1\]: nan is not a finite number"),
        ({"value_range": (255.0, 0.0)}, r"value_range \(255.0, 0.0\): give low and high"),
        ({"value_range": (5, 5)}, "give low and high"),
        ({"value_range": ((0, 1), (3, 2), (0, 1))}, "give low and high"),
        ({"value_range": ((0, 1), (0, 2))}, "2 ranges of values for 3 bands; give one, or one for"),
        (
            {"value_range": ((0, 1), (0, "x"), (0, 1))},
            r"value_range\[1\]\[1\]: 'x' is not a number",
        ),
        ({"value_range": (0,)}, r"value_range\[1\]: is missing"),
        ({"value_range": (0, math.inf)}, r"value_range\[1\]: inf is not a finite number"),
        ({"overlap": 512}, "window 512 and overlap 512: overlap goes from 0 to window - 1"),
        ({"window": 0}, "window 0 and overlap 128"),
        ({"overlap": -1}, "window 512 and overlap -1"),
        ({"ground_sampling": 0.0}, "ground_sampling: 0.0 is refused; it should be greater than 0"),
        ({"ground_sampling": math.inf}, "ground_sampling: inf is not a finite number"),
        ({"windw": 3}, "windw: unknown key; did you mean window"),
        ({"mean": "abc"}, "mean: 'abc' is not a list"),
        ({"mean": ("1", 2.0, 3.0)}, r"mean\[0\]: '1' is not a number"),
        ({"window": "512"}, "window: '512' is not a whole number"),
        ({"window": 10**9}, "window: 1000000000 is refused; it should be less than or equal to"),
        ({"bands": ("red", "", "blue")}, "bands: band '' is empty; give it a name"),
        ({"bands": ("red", "a\nb", "blue")}, r"band 'a\\nb' has control characters or broken ones"),
        ({"bands": ("red", "\ud800", "blue")}, "has control characters or broken ones"),
    ],
)
def test_a_card_whose_facts_do_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Card(**{**FACTS, **change})


def test_training_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ModelError, match="training holds what JSON cannot"):
        Card(**FACTS, training={"loss": math.nan}).to_json()


def edited(**change: Any) -> str:
    document = json.loads(Card(**FACTS).to_json())
    for key, value in change.items():
        if value is None:
            del document[key]
        else:
            document[key] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "its card is not a geoseg card"),
        ("[]", "its card is not a geoseg card"),
        ("{}", "its card is not a geoseg card"),
        ("[" * 100_000, "its card is not a geoseg card"),
        (edited(format=math.inf), "its card is not a geoseg card"),
        (edited(format="1"), "its card is not a geoseg card"),
        (edited(format=0), "its card is not a geoseg card"),
        (edited(license="\ud800"), "its card is not a geoseg card"),
        (edited(training=json.loads("[" * 40 + "]" * 40)), "its card is not a geoseg card"),
        (edited(window=math.inf), "window: inf is not a"),
        (edited(mean=list(range(300))), r"mean has 300 entries|is inconsistent"),
        (edited(format=2), "its card has format 2, this geoseg reads up to 1; upgrade geoseg"),
        (edited(mean=None), "its card has no 'mean'; train or save the model again"),
        (
            edited(mean=["x"] * 3),
            r"its card is inconsistent \(mean\[0\]: 'x' is not a number\); upgrade geoseg, or save",
        ),
        (edited(window="wide"), "its card is inconsistent .window: 'wide' is not a whole number"),
        (edited(spec={"system": "hcnet"}), r"its card is inconsistent \(spec.encoder: is missing"),
        (
            edited(spec={**json.loads(Card(**FACTS).to_json())["spec"], "sistem": "x"}),
            "spec.sistem: unknown key; did you mean system?",
        ),
        (
            edited(spec={**json.loads(Card(**FACTS).to_json())["spec"], "system": "laternet"}),
            "there is no system 'laternet'; there are .*upgrade geoseg",
        ),
    ],
)
def test_a_text_that_is_not_a_card_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Card.from_json(text)
