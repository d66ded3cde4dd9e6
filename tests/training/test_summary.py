from __future__ import annotations

import json

import numpy as np
import pytest

from geoseg.metrics import ConfusionMatrix
from geoseg.training.summary import metric_names, metric_value, metric_values, summarize

CLASSES = ("dark", "bright", "never")


def confusion_of_four() -> ConfusionMatrix:
    confusion = ConfusionMatrix(3)
    confusion.update(np.array([0, 0, 1, 1], np.uint8), np.array([0, 1, 1, 255], np.uint8))
    return confusion


def test_a_summary_is_json_with_null_where_a_metric_is_undefined() -> None:
    metrics = summarize(confusion_of_four(), CLASSES)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == {
        "mean_iou": 0.416667,
        "mean_f1": 0.583333,
        "overall_accuracy": 0.5,
        "iou": {"dark": 0.5, "bright": 0.333333, "never": None},
        "f1": {"dark": 0.666667, "bright": 0.5, "never": None},
        "confusion_matrix": [[1, 1, 0], [0, 1, 0], [0, 0, 0]],
        "missed": [0, 1, 0],
    }


def test_each_metric_has_a_name() -> None:
    metrics = summarize(confusion_of_four(), CLASSES)
    assert {name: metric_value(metrics, name) for name in metric_names(CLASSES)} == {
        "mean_iou": 0.416667,
        "mean_f1": 0.583333,
        "overall_accuracy": 0.5,
        "iou_dark": 0.5,
        "iou_bright": 0.333333,
        "iou_never": None,
    }
    with pytest.raises(KeyError):
        metric_value(metrics, "loss")
    values = metric_values(confusion_of_four(), CLASSES)
    assert values.pop("iou_never") != values["mean_iou"] == pytest.approx(5 / 12)
    assert values == pytest.approx({name: metric_value(metrics, name) for name in values}, abs=1e-6)
    assert tuple(values) == metric_names(CLASSES)[:-1]
