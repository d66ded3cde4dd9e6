"""Class-weighted cross-entropy over main and auxiliary logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from geoseg.classes import NODATA
from geoseg.errors import ConfigError
from geoseg.models import Outputs
from geoseg.training.boundaries import boundary_labels
from geoseg.training.recipe import Recipe


def median_frequency_weights(
    counts: NDArray[np.int64], clip: tuple[float, float] = (0.1, 10.0)
) -> NDArray[np.float32]:
    """``w_c = median(f) / f_c`` with ``f_c`` the share of class c in all labelled pixels.

    HCNet (arXiv 2010.04962) equations 6 and 7, taken literally: frequencies over the whole training set, not over
    the images that show the class. Absent classes have no say in the median and get weight 1. Clipping is ours: a
    class of a few hundred pixels would otherwise outweigh all others.

    Args:
        counts: ``(classes,)`` labelled pixels of each class.
        clip: the smallest and the largest weight.

    Returns:
        ``(classes,)`` float32.
    """
    present = counts > 0
    weights = np.ones(len(counts))
    if present.any():
        frequencies = counts[present] / counts.sum()
        weights[present] = np.clip(np.median(frequencies) / frequencies, *clip)
    return weights.astype(np.float32)


def choose_class_weights(recipe: Recipe, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """The ``(classes,)`` float32 weights that a recipe asks for.

    Raises:
        ConfigError: it gives another number of weights than there are classes.
    """
    if recipe.class_weights == "median":
        return median_frequency_weights(counts, recipe.class_weight_range)
    if recipe.class_weights == "none":
        return np.ones(len(counts), np.float32)
    given = recipe.class_weights
    if len(given) != len(counts):
        raise ConfigError(
            f"train.class_weights: {len(given)} numbers for {len(counts)} classes; give one each"
        )
    return np.array(given, np.float32)


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the labelled pixels; 0 for a batch without any.

    Args:
        logits: ``(N, classes, h, w)``; resized bilinearly to the labels.
        labels: ``(N, H, W)`` int64 class ids, 255 unlabelled.
        weights: ``(classes,)`` float32.
    """
    if logits.shape[2:] != labels.shape[1:]:
        logits = F.interpolate(
            logits.float(), size=labels.shape[1:], mode="bilinear", align_corners=False
        )
    total = F.cross_entropy(logits.float(), labels, weights, ignore_index=NODATA, reduction="sum")
    counts = torch.bincount(labels[labels != NODATA], minlength=len(weights))
    return total / (weights * counts).sum().clamp(min=1e-6)


def segmentation_loss(
    outputs: Outputs,
    labels: Tensor,
    weights: Tensor,
    aux_weights: Mapping[str, float],
    criterion: Callable[[Tensor, Tensor, Tensor], Tensor] = cross_entropy,
) -> Tensor:
    """The loss of the main logits plus the cross-entropy of each auxiliary, times its weight.

    Auxiliaries named ``boundary...`` have 2 channels and learn where classes meet, without class weights. They too
    are resized to the labels: at feature size the two pixels of a boundary would be a broad band.

    Args:
        outputs: what a network gives in training mode.
        labels: ``(N, H, W)`` int64 class ids, 255 unlabelled.
        weights: ``(classes,)`` float32.
        aux_weights: by name, for each auxiliary output.
        criterion: of the main logits; see `geoseg.training.criteria`.
    """
    loss = criterion(outputs.logits, labels, weights)
    boundaries = None
    for name, logits in outputs.aux.items():
        if name.startswith("boundary"):
            boundaries = boundary_labels(labels) if boundaries is None else boundaries
            aux = cross_entropy(logits, boundaries, weights.new_ones(2))
        else:
            aux = cross_entropy(logits, labels, weights)
        loss = loss + aux_weights[name] * aux
    return loss
