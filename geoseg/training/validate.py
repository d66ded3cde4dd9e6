"""How good a network is on whole tiles, predicted exactly as `predict` would."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from geoseg.datasets.tiles import Tile, TileReader
from geoseg.inference.stream import predict_bands
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Model
from geoseg.training.pictures import Panel


def validate(
    model: Model,
    tiles: Sequence[Tile],
    *,
    device: str = "cpu",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    panels: Sequence[Panel] = (),
) -> ConfusionMatrix:
    """The confusion matrix over all labelled pixels of all tiles, by sliding window in bounded memory.

    Args:
        model: network and card; the card's window and overlap are the lattice.
        tiles: rasters with their labels.
        device: ``cpu`` or ``cuda[:N]``.
        precision: what the network computes in.
        panels: of the first tiles; they get what is seen on the way.
    """
    confusion = ConfusionMatrix(len(model.card.classes))
    for tile, panel in itertools.zip_longest(tiles, panels):
        with TileReader(tile, model.card.classes) as reader:
            for band in predict_bands(model, tile.image, device=device, precision=precision):
                reference = reader.reference(band.area)
                confusion.update(reference, band.labels)
                if panel is not None:
                    seen = reader.read(band.area)
                    panel.add(band.area, seen.pixels, seen.valid, reference, band.labels)
    return confusion


def figures(confusion: ConfusionMatrix, names: Sequence[str]) -> dict[str, Any]:
    """The figures of a validation, ready for JSON; None where a figure is undefined."""
    return {
        "mean_iou": _number(confusion.mean_iou),
        "mean_f1": _number(confusion.mean_f1),
        "overall_accuracy": _number(confusion.overall_accuracy),
        "iou": dict(zip(names, map(_number, confusion.iou.tolist()), strict=True)),
        "f1": dict(zip(names, map(_number, confusion.f1.tolist()), strict=True)),
        "confusion_matrix": confusion.matrix.tolist(),
        "missed": confusion.missed.tolist(),
    }


def figure(found: Mapping[str, Any], name: str) -> float | None:
    """One of `figures`: mean_iou, mean_f1, overall_accuracy, or ``iou_`` and a class."""
    number: float | None = (
        found["iou"][name.removeprefix("iou_")] if name.startswith("iou_") else found[name]
    )
    return number


def figure_names(classes: Sequence[str]) -> tuple[str, ...]:
    """What `figure` knows."""
    return ("mean_iou", "mean_f1", "overall_accuracy", *(f"iou_{name}" for name in classes))


def _number(figure: float) -> float | None:
    return None if math.isnan(figure) else round(figure, 6)
