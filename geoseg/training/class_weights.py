"""The weight of each class in the cross-entropy, from how often the training labels show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.training.recipe import Recipe


def median_frequency_weights(
    counts: NDArray[np.int64], clip: tuple[float, float] = (0.1, 10.0)
) -> NDArray[np.float32]:
    """``w_c = median(f) / f_c`` with ``f_c`` the share of class c in all labelled pixels.

    HCNet (arXiv 2010.04962) equations 6 and 7, taken literally: frequencies over the whole training
    set, not over the images that show the class. Absent classes do not enter the median and get
    weight 1. Clipping is ours: a class of a few hundred pixels would otherwise outweigh all others.

    Args:
        counts: ``(classes,)`` labelled pixels of each class.
        clip: the smallest and the largest weight.

    Returns:
        ``(classes,)`` float32.
    """
    present = counts > 0
    weights = np.ones(len(counts))
    if present.any():
        # The ratios of frequencies are those of counts.
        weights[present] = np.clip(np.median(counts[present]) / counts[present], *clip)
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
    weights = np.array(recipe.class_weights, np.float32)
    if len(weights) != len(counts):
        raise ConfigError(
            f"train.class_weights: {len(weights)} numbers for {len(counts)} classes; give one each"
        )
    return weights
