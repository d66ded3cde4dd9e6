"""Metrics of a network on whole tiles, predicted exactly as by `predict`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from geoseg.datasets.tiles import Tile, TileReader
from geoseg.inference.stream import predict_bands
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Model
from geoseg.training.validation_images import Panel


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
