"""The metrics of a validation by their names, from its confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.metrics import ConfusionMatrix

_SUMMARY = ("mean_iou", "mean_f1", "overall_accuracy")


def summarize(confusion: ConfusionMatrix, classes: Sequence[str]) -> dict[str, Any]:
    """The metrics of a validation, ready for JSON; None where one is undefined."""
    metrics: dict[str, Any] = {name: _rounded(getattr(confusion, name)) for name in _SUMMARY}
    for name in ("iou", "f1"):
        per_class = map(_rounded, getattr(confusion, name).tolist())
        metrics[name] = dict(zip(classes, per_class, strict=True))
    metrics["confusion_matrix"] = confusion.matrix.tolist()
    metrics["missed"] = confusion.missed.tolist()
    return metrics


def metric_values(confusion: ConfusionMatrix, classes: Sequence[str]) -> dict[str, float]:
    """The metrics of a validation by `metric_names`; NaN where one is undefined."""
    values = [getattr(confusion, name) for name in _SUMMARY] + confusion.iou.tolist()
    return dict(zip(metric_names(classes), values, strict=True))


def metric_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of single metrics: of all classes, and the IoU of each class."""
    return (*_SUMMARY, *(f"iou_{name}" for name in classes))


def metric_value(metrics: Mapping[str, Any], name: str) -> float | None:
    """One number of `summarize`: mean_iou, mean_f1, overall_accuracy, or ``iou_`` and a class."""
    found = metrics["iou"] if name.startswith("iou_") else metrics
    value: float | None = found[name.removeprefix("iou_")]
    return value


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
