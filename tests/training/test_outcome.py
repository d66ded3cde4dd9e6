from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoseg.models import create_model
from geoseg.training.outcome import Outcome, training_report


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
