"""What files and users say of a network becomes its card, or is refused with what to give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import ConfigError, ModelError
from geoseg.models.external_card import (
    deepness_facts,
    external_card,
    read_card_file,
    with_background,
)

PATH = Path("x.onnx")
FACTS: dict[str, Any] = {
    "classes": ["road", "roof"],
    "bands": ["red", "nir"],
    "value_range": [0, 255],
    "mean": [100, 90],
    "std": [50, 40.5],
}


def test_facts_become_the_card() -> None:
    card = external_card(PATH, "onnx", {**FACTS, "window": 256, "ground_sampling": 0.1})
    assert card.classes.names == ("road", "roof")
    assert card.bands == ("red", "nir")
    assert (card.mean, card.std) == ((100.0, 90.0), (50.0, 40.5))
    assert (card.window, card.overlap, card.ground_sampling) == (256, 64, 0.1)


def test_a_fixed_side_is_the_window() -> None:
    card = external_card(PATH, "onnx", {**FACTS, "side": 96, "window": 512})
    assert (card.window, card.overlap) == (96, 24)


@pytest.mark.parametrize("name", FACTS)
def test_what_is_missing_is_never_guessed(name: str) -> None:
    facts = {key: value for key, value in FACTS.items() if key != name}
    with pytest.raises(ModelError, match=f"x.onnx: nothing says its {name}; give --card FILE"):
        external_card(PATH, "onnx", facts)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"output": "softmax"}, "output 'softmax': use logits, probabilities, sigmoid"),
        ({"multiple": 0}, "multiple 0: give 1 pixel or more"),
        ({"mean": [1]}, "mean has 1 entries, the network takes 2 bands"),
        ({"std": [0, 1]}, "std"),
        ({"bands": 3}, "its card makes no sense: bands 3: give a list of names"),
        ({"bands": "red"}, "its card makes no sense: bands 'red': give a list of names"),
        ({"classes": 2}, "its card makes no sense: .* list under 'classes'"),
        ({"mean": "x"}, "mean 'x': give a number for each band"),
        ({"value_range": 255}, "value_range 255: give the lowest and the highest value"),
        ({"window": "large"}, "its card makes no sense: window: 'large' is not a whole number"),
    ],
)
def test_facts_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        external_card(PATH, "onnx", {**FACTS, **wrong})


def test_a_card_file_with_a_misspelt_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    file.write_text("bands: [red]\nclases: [a]\n")
    with pytest.raises(ConfigError, match=r"'clases' means nothing in a card; .*classes\?"):
        read_card_file(file)
    file.write_text("- red\n")
    with pytest.raises(ConfigError, match=r"give names and values, such as bands: \["):
        read_card_file(file)


def written(**values: Any) -> dict[str, str]:
    return {key: json.dumps(value) for key, value in values.items()}


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("tile_size", "big", "no number"),
        ("resolution", [1], "no number"),
        ("tiles_overlap", "x", "no number"),
        ("standardization_mean", "x", "no list of numbers"),
        ("standardization_std", 3, "no list of numbers"),
    ],
)
def test_metadata_that_are_no_numbers_are_named(name: str, value: Any, what: str) -> None:
    metadata = written(**{"model_type": "Segmentor", "tile_size": 64, name: value})
    with pytest.raises(ModelError, match=f"x.onnx: its metadata have {name} .*, which is {what}"):
        deepness_facts(PATH, metadata, 3)


@pytest.mark.parametrize("tile", ["tile_size", "tiles_size"])
@pytest.mark.parametrize("names", ["class_names", "names"])
@pytest.mark.parametrize(
    "classes", [{"0": "road", "1": "roof"}, [{"1": "roof", "0": "road"}], ["road", "roof"]]
)
def test_deepness_metadata_are_read_in_each_spelling(tile: str, names: str, classes: Any) -> None:
    metadata = written(
        model_type="segmentor",
        resolution=10,
        tiles_overlap=15,
        standardization_mean=[0.5, 0.25],
        standardization_std=[0.1, 0.2],
        **{tile: 512, names: classes},
    )
    facts = deepness_facts(PATH, metadata, 2)
    assert facts["classes"] == ["road", "roof"]
    assert (facts["window"], facts["overlap"]) == (512, 76)
    assert facts["ground_sampling"] == 0.1
    assert facts["mean"] == [127.5, 63.75]
    assert facts["std"] == pytest.approx([25.5, 51.0])
    assert (facts["value_range"], facts["output"]) == ((0, 255), "probabilities")
    assert "bands" not in facts


def test_without_both_statistics_the_plugin_only_divides() -> None:
    facts = deepness_facts(PATH, written(model_type="Segmentor", standardization_mean=[0.5]), 3)
    assert facts["mean"] == [0, 0, 0]
    assert facts["std"] == [255, 255, 255]


def test_other_models_are_refused_by_their_name() -> None:
    with pytest.raises(ModelError, match="is a model of the type Detector; geoseg runs Segmentor"):
        deepness_facts(PATH, written(model_type="DETECTOR"), 3)
    assert deepness_facts(PATH, {"author": "me"}, 3) == {}


def test_classes_that_are_not_numbered_from_0_are_refused() -> None:
    with pytest.raises(ModelError, match=r"its classes are numbered 1, 2; give --card FILE"):
        deepness_facts(
            PATH, written(model_type="Segmentor", class_names={"1": "a", "2": "b"}), None
        )


def test_one_channel_means_a_class_and_its_background() -> None:
    facts = {"classes": ["roof"], "output": "probabilities"}
    assert with_background(facts, 1) == {"classes": ["background", "roof"], "output": "sigmoid"}
    assert with_background(facts, 2) == facts
    both = {"classes": ["no roof", "roof"], "output": "logits"}
    assert with_background(both, 1) == {**both, "output": "sigmoid-logits"}
