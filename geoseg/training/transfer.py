"""A finished model as the beginning of another one, also for other classes or other bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.models import ModelSpec, Segmenter, build_segmenter, load_model


def start_from(
    path: str | Path, net: Segmenter, classes: Sequence[str], bands: Sequence[str]
) -> str:
    """Fill a network with the weights of a model file.

    Where the classes differ, in names or order, all that has a class axis stays as it was made. Where the bands
    differ, the first convolution is fitted: a band of the same name keeps its filter, others get the mean of all; where
    no name is known and the number is the same, bands keep their places.

    Args:
        path: the model file: the same system on the same encoder, with the same options.
        net: freshly made; its weights are replaced.
        classes: names of its classes.
        bands: names of its bands.

    Returns:
        What was taken over, and what had to be made anew or fitted, for a person.

    Raises:
        ModelError: the file is no model.
        ConfigError: it is a model of another make.
    """
    model = load_model(path)
    card = model.card
    for key in ("system", "encoder"):
        theirs, ours = getattr(card.spec, key), getattr(net.spec, key)
        if theirs != ours:
            raise ConfigError(
                f"model.start_from: {path} has {key} {theirs}, the config {ours}; give the same"
            )
    new_classes, new_bands = card.classes.names != tuple(classes), card.bands != tuple(bands)
    anew = (
        _with_axis(net.spec, classes=2 if net.spec.classes == 1 else net.spec.classes - 1)
        if new_classes
        else set()
    )
    fitted = _with_axis(net.spec, in_channels=net.spec.in_channels + 1) if new_bands else set()
    wanted, found = net.state_dict(), model.net.state_dict()
    for name in sorted(wanted.keys() | found.keys()):
        if name in anew:
            continue
        tensor = found.get(name)
        if tensor is not None and name in fitted:
            tensor = fit_bands(tensor, card.bands, bands)
        if tensor is None or name not in wanted or tensor.shape != wanted[name].shape:
            raise ConfigError(
                f"model.start_from: {path} differs in {name!r}; give model.options as it was trained with"
            )
        wanted[name].copy_(tensor)  # into the network's own tensor
    parts = [f"weights from {path}"]
    if new_classes:
        parts.append(
            f"classifiers made anew ({', '.join(classes)} instead of {', '.join(card.classes.names)})"
        )
    if new_bands:
        parts.append(
            f"first convolution fitted to bands {', '.join(bands)} (from {', '.join(card.bands)})"
        )
    return "; ".join(parts)


def fit_bands(weight: Tensor, known: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Filters ``(out, bands, k, k)`` of the `known` bands for the `wanted` ones."""
    if not set(known) & set(wanted) and len(known) == len(wanted):
        return weight
    mean = weight.mean(1)
    return torch.stack(
        [weight[:, known.index(band)] if band in known else mean for band in wanted], 1
    )


def _with_axis(spec: ModelSpec, **other: Any) -> set[str]:
    """Names of the tensors whose shape another number of classes, or of bands, would change."""
    with torch.device("meta"):  # shapes alone: nothing is computed, no random number drawn
        one, two = (build_segmenter(made).state_dict() for made in (spec, replace(spec, **other)))
    return {name for name, tensor in one.items() if tensor.shape != two[name].shape}
