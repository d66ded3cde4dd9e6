"""The list of models says what their cards say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import geoseg
from geoseg.commands import evaluate, models
from geoseg.models import load_card
from geoseg.models.named import SHIPPED


def test_every_model_is_listed_with_what_its_card_says() -> None:
    report = models.run()
    assert [entry["name"] for entry in report.data["models"]] == list(SHIPPED)
    for entry in report.data["models"]:
        card = load_card(entry["name"])
        assert entry["bands"] == list(card.bands)
        assert entry["ground_sampling"] == card.ground_sampling
        assert entry["license"] == card.license is not None
        assert ", ".join(card.classes.names) in report.text
        assert entry["validation"] == card.training["validation"]
        assert f"mean IoU {entry['validation']['mean_iou']:.2f}" in report.text
        assert entry["megabytes"] <= 10


def test_the_model_of_buildings_names_its_sources_and_says_what_it_cannot_do() -> None:
    (entry,) = (each for each in models.run().data["models"] if each["name"] == "buildings-rgb")
    assert entry["bands"] == ["red", "green", "blue"]
    assert "OpenStreetMap contributors" in entry["source"]
    assert "OpenAerialMap" in entry["source"]
    for text in (entry["source"], entry["limits"], entry["range"]):
        assert text in models.run().text


@pytest.mark.slow
@pytest.mark.skipif("GEOSEG_DATA" not in os.environ, reason="needs the imagery of Banepa")
def test_the_scores_of_the_model_of_buildings_are_what_evaluate_measures(tmp_path: Path) -> None:
    strip = Path(os.environ["GEOSEG_DATA"]) / "banepa_buildings" / "val"
    if not strip.is_dir():
        pytest.skip("no banepa_buildings under $GEOSEG_DATA")
    model, options = "buildings-rgb", {"precision": "fp32", "vectors": "none"}
    report = geoseg.predict(strip / "banepa_image.tif", model, out=tmp_path / "run", **options)
    classes = report.inputs[0].outputs["classes"]
    scores = evaluate.run(classes, strip / "banepa_label.tif", model, tmp_path / "scores")
    validation = load_card("buildings-rgb").training["validation"]
    for key in ("mean_iou", "mean_f1", "overall_accuracy"):
        assert scores.data[key] == pytest.approx(validation[key], abs=1e-3)
