from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.datasets.statistics import Statistics
from geoseg.errors import ConfigError
from geoseg.models import Card, create_model
from geoseg.training.outcome import Outcome, make_card, training_report

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
    given = card(mean=[1.0, 2.0], std=[3.0, 4.0])  # lists, as YAML has them
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


def metrics() -> dict[str, Any]:
    return {
        "mean_iou": 0.5,
        "mean_f1": 0.625,
        "overall_accuracy": 0.75,
        "iou": {"dark": 0.5, "asphalt": None},
        "f1": {"dark": 0.66666, "asphalt": None},
    }


def test_the_report_names_the_model_its_metrics_and_the_time() -> None:
    outcome = Outcome(
        step=3000, best_step=2000, best=metrics(), compute=3000.0, wait=1000.0, validation=500.0
    )
    net = create_model("pixel", classes=2)
    report = training_report(Path("runs/a"), outcome, net, ("dark", "asphalt"), ["a warning"])
    assert report.text.splitlines() == [
        "runs/a/model.safetensors: 8 parameters, step 2000 of 3000",
        "  dark     IoU 0.5000  F1 0.6667",
        "  asphalt  IoU    -    F1    -  ",
        "mean IoU 0.5000, mean F1 0.6250, overall accuracy 0.7500 on the validation tiles",
        "4,500 s, 500 s of them validating; 75.0% of the training time in forward and backward",
    ]
    assert report.data == {
        "model": "runs/a/model.safetensors",
        "best_step": 2000,
        "steps": 3000,
        "validation": metrics(),
        "parameters": {"encoder": 0, "all": 8},
        "seconds": {"compute": 3000.0, "wait": 1000.0, "validation": 500.0, "total": 4500.0},
        "compute_share": 0.75,
        "warnings": ["a warning"],
        "label_files": [],
    }
    assert report.exit_code == 0


def test_without_validation_there_are_no_metrics_to_report() -> None:
    net = create_model("fcn", encoder="tu-test_resnet", classes=2, channels=8)
    report = training_report(Path("a"), Outcome(step=5, best_step=5), net, ("dark", "bright"), [])
    assert len(report.text.splitlines()) == 2
    assert report.data["validation"] == {}
    encoder, everything = report.data["parameters"]["encoder"], report.data["parameters"]["all"]
    head = sum(parameter.numel() for parameter in net.head.parameters())
    assert 0 < encoder == everything - head


def test_a_run_that_has_not_trained_has_lost_no_time() -> None:
    assert Outcome(wait=1.0).compute_share == 1.0
    assert Outcome(compute=1.0, wait=3.0, validation=9.0).compute_share == pytest.approx(0.25)
