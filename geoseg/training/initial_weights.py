"""The weights of a finished model as the start of another, also of other classes or bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.models import ModelSpec, Segmenter, build_segmenter, load_model
from geoseg.report import shorten


def start_from(
    path: str | Path, net: Segmenter, classes: Sequence[str], bands: Sequence[str]
) -> str:
    """Fill a network with the weights of a model file.

    Where the classes differ, in names or order, every tensor with a class axis stays as it is.
    Where the bands differ, the first convolution is fitted: a band of the same name keeps its
    filter, others get the mean of all; where no name is known and the number is the same, bands
    keep their places.

    Args:
        path: the model file: the same system on the same encoder, with the same options.
        net: freshly made; its weights are replaced.
        classes: names of its classes.
        bands: names of its bands.

    Returns:
        One line for people: what was taken over, and what was left fresh or fitted.

    Raises:
        ModelError: the file is not a model.
        ConfigError: its system, encoder or options are others.
    """
    model = load_model(path)
    card = model.card
    for key in ("system", "encoder"):
        has, asked = getattr(card.spec, key), getattr(net.spec, key)
        if has != asked:
            raise ConfigError(
                f"model.start_from: {path} has {key} {has}, the config {asked}; give the same"
            )
    fresh: set[str] = set()
    fitted: set[str] = set()
    parts = [f"weights from {path}"]
    if card.classes.names != tuple(classes):
        fresh = _names_with_axis(net.spec, classes=net.spec.classes + 1)
        parts.append(
            f"classifiers left fresh ({shorten(classes, 20)} instead of "
            f"{shorten(card.classes.names, 20)})"
        )
    if card.bands != tuple(bands):
        fitted = _names_with_axis(net.spec, in_channels=net.spec.in_channels + 1)
        parts.append(
            f"first convolution fitted to bands {shorten(bands, 20)} "
            f"(from {shorten(card.bands, 20)})"
        )
    own, theirs = net.state_dict(), model.net.state_dict()
    for name in sorted((own.keys() | theirs.keys()) - fresh):
        tensor = theirs.get(name)
        if tensor is not None and name in fitted:
            tensor = fit_bands(tensor, card.bands, bands)
        if tensor is None or name not in own or tensor.shape != own[name].shape:
            raise ConfigError(
                f"model.start_from: {path} differs in {name!r}; "
                "give model.options as it was trained with"
            )
        own[name].copy_(tensor)  # into the network's own tensor
    return "; ".join(parts)


def fit_bands(weight: Tensor, known: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Filters ``(out, bands, k, k)`` of the `known` bands for the `wanted` ones."""
    if not set(known) & set(wanted) and len(known) == len(wanted):
        return weight
    mean = weight.mean(1)
    return torch.stack(
        [weight[:, known.index(band)] if band in known else mean for band in wanted], 1
    )


def _names_with_axis(spec: ModelSpec, **other: Any) -> set[str]:
    """Names of the tensors whose shape another number of classes, or of bands, changes."""
    with torch.device("meta"):  # shapes alone: nothing is computed, no random number drawn
        one, two = (build_segmenter(made).state_dict() for made in (spec, replace(spec, **other)))
    return {name for name, tensor in one.items() if tensor.shape != two[name].shape}
