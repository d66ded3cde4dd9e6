"""Random changes of one patch: arrays and a random generator in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from geoseg.datasets.tiles import Patch
from geoseg.training.recipe import Augment

ALL = 0.999
"""The share of a mean's weights that counts as all of them: sums of weights are rounded."""


def zoom_factor(augment: Augment, rng: np.random.Generator) -> float:
    """A scale drawn evenly on a logarithmic axis, so that 1/2 and 2 are equally likely."""
    low, high = augment.scale
    return low if low == high else float(np.exp(rng.uniform(np.log(low), np.log(high))))


def resize(patch: Patch, size: tuple[int, int]) -> Patch:
    """The patch at another height and width: pixels bilinear (area-weighted when shrinking), labels nearest.

    A pixel stays valid where all that it was made of is valid.
    """
    if patch.labels.shape == size:
        return patch
    # Means of the valid pixels alone: those that are not may hold NaN, or numbers beside which all others vanish.
    layers = np.concatenate(
        [np.where(patch.valid, patch.pixels, 0), patch.valid[None]], dtype=np.float32
    )
    smooth = F.interpolate(
        torch.from_numpy(layers)[None],
        size=size,
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )[0].numpy()
    valid = smooth[-1] > ALL
    pixels = np.divide(smooth[:-1], smooth[-1], where=valid, out=np.zeros_like(smooth[:-1]))
    labels = F.interpolate(
        torch.from_numpy(patch.labels)[None, None], size=size, mode="nearest-exact"
    )
    return Patch(pixels, valid, labels[0, 0].numpy())


def augment_patch(
    patch: Patch, augment: Augment, value_range: tuple[float, float], rng: np.random.Generator
) -> Patch:
    """Flip, turn (square patches), and change brightness and contrast of a patch.

    Args:
        patch: as it was read.
        augment: what may happen, and how much of it.
        value_range: pixels stay within it.
        rng: decides; the same state gives the same patch.
    """
    if augment.flip and rng.random() < 0.5:
        patch = patch.moved(lambda array: array[..., ::-1])
    if augment.turn:
        turns = int(rng.integers(4))
        patch = patch.moved(lambda array: np.rot90(array, turns, axes=(-2, -1)))
    if augment.brightness or augment.contrast:
        pixels = jitter(patch.pixels, patch.valid, augment, value_range, rng)
        patch = patch._replace(pixels=pixels)
    return patch


def jitter(
    pixels: NDArray[Any],
    valid: NDArray[np.bool_],
    augment: Augment,
    value_range: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Pixels stretched about their mean and shifted, the same for all bands, within the value range."""
    low, high = value_range
    gain = 1.0 + augment.contrast * rng.uniform(-1, 1)
    shift = augment.brightness * rng.uniform(-1, 1) * (high - low)
    if not valid.any():
        return pixels.astype(np.float32)
    means = pixels[:, valid].mean(axis=1, dtype=np.float64)[:, None, None]
    changed: NDArray[np.float32] = ((pixels - means) * gain + means + shift).astype(np.float32)
    return np.clip(changed, low, high, out=changed)
