"""Metrics of a network on whole tiles, predicted exactly as by `predict`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from geoseg.datasets.tiles import Tile, TileReader
from geoseg.inference.stream import predict_bands
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Model
from geoseg.training.validation_images import Panel

_SUMMARY = ("mean_iou", "mean_f1", "overall_accuracy")


def validate(
    model: Model,
    tiles: Sequence[Tile],
    *,
    device: str = "cpu",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    panels: Sequence[Panel] = (),
) -> ConfusionMatrix:
    """The confusion matrix over all labelled pixels of all tiles, by sliding window.

    Args:
        model: network and card; the card's window and overlap are the lattice.
        tiles: rasters with their labels.
        device: ``cpu`` or ``cuda[:N]``.
        precision: what the network computes in.
        panels: for the first tiles; each collects the pictures of its tile.
    """
    confusion = ConfusionMatrix(len(model.card.classes))
    for tile, panel in itertools.zip_longest(tiles, panels):
        with TileReader(tile, model.card.classes) as reader:
            for band in predict_bands(model, tile.image, device=device, precision=precision):
                reference = reader.reference(band.area)
                confusion.update(reference, band.labels)
                if panel is not None:
                    patch = reader.read(band.area)
                    panel.add(band.area, patch.pixels, patch.valid, reference, band.labels)
    return confusion


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
