"""Random changes of one training sample, drawn from its own generator.

Geometry is torchvision's: mirroring and resizing. Three things are not, because v2 has no equal:

- Randomness. v2's classes draw from torch's one global generator. Here a sample is a function of
seed
  and number, made in a thread beside the network, whose dropout draws from that generator.
- Brightness and contrast. `adjust_brightness` and `adjust_contrast` take 1 or 3 bands in 0..1 or
  0..255, and stretch about the mean of a grey picture of all pixels. Here are any number of bands
  in the raster's own units, and pixels without data.
- Resizing next to pixels without data: see `resize`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from geoseg.datasets.tiles import Patch
from geoseg.training.recipe import Augment
from geoseg.value_ranges import ValueRange, per_band

_WHOLE = 0.999
"""The share of a mean's weights that counts as all of them: sums of weights are rounded."""


class Sample(NamedTuple):
    """A patch as tensors."""

    pixels: Tensor
    """``(bands, height, width)`` float32 in the raster's units; NaN or anything where not valid."""
    valid: Tensor
    """``(height, width)`` bool."""
    labels: Tensor
    """``(height, width)`` uint8 class ids, 255 unlabelled."""

    @classmethod
    def from_patch(cls, patch: Patch) -> Sample:
        """The same in new tensors; torch computes with few of the dtypes of rasters."""
        layers = (patch.pixels.astype(np.float32), patch.valid.copy(), patch.labels.copy())
        return cls(*map(torch.from_numpy, layers))

    def moved(self, move: Callable[[Tensor], Tensor]) -> Sample:
        """Pixels, mask and labels moved alike; `move` acts on the last two axes."""
        return Sample(*map(move, self))


def zoom_factor(augment: Augment, rng: np.random.Generator) -> float:
    """A scale drawn evenly on a logarithmic axis, so that 1/2 and 2 are equally likely."""
    low, high = augment.scale
    return low if low == high else float(np.exp(rng.uniform(np.log(low), np.log(high))))


def resize(sample: Sample, size: tuple[int, int]) -> Sample:
    """The sample at another height and width: pixels bilinear (antialiased), labels nearest.

    A pixel stays valid if all pixels that contribute to it are valid.
    """
    if sample.labels.shape == size:
        return sample
    # Means of the valid pixels alone: the others may hold NaN, or numbers beside which all else
    # vanishes. They enter as 0, and the resized mask says what share of the weights was theirs.
    filled = sample.pixels.where(sample.valid, 0.0)
    layers = torch.cat([filled, sample.valid[None].float()])
    sums, share = v2.functional.resize(layers, size, antialias=True).split([len(filled), 1])
    valid = share > _WHOLE
    pixels = (sums / share).where(valid, 0.0)
    nearest = v2.InterpolationMode.NEAREST_EXACT
    labels = v2.functional.resize(sample.labels[None], size, interpolation=nearest)
    return Sample(pixels, valid[0], labels[0])


def augment_sample(
    sample: Sample, augment: Augment, value_range: ValueRange, rng: np.random.Generator
) -> Sample:
    """Mirror and turn (square samples), and change brightness and contrast.

    Args:
        sample: as it was read.
        augment: what may happen, and how much of it.
        value_range: pixels stay within it.
        rng: decides; the same state gives the same sample.
    """
    if augment.flip and rng.random() < 0.5:
        sample = sample.moved(v2.functional.horizontal_flip)
    if augment.turn:
        turns = int(rng.integers(4))
        # Not v2's rotate, which resamples: a quarter turn only moves pixels.
        sample = sample.moved(lambda layer: torch.rot90(layer, turns, dims=(-2, -1)))
    if augment.brightness or augment.contrast:
        sample = jitter(sample, augment, value_range, rng)
    return sample


def jitter(
    sample: Sample, augment: Augment, value_range: ValueRange, rng: np.random.Generator
) -> Sample:
    """Each band stretched about its mean, and all shifted alike, within their value ranges."""
    gain = 1.0 + augment.contrast * rng.uniform(-1, 1)
    step = augment.brightness * rng.uniform(-1, 1)
    if not sample.valid.any():
        return sample
    means = sample.pixels[:, sample.valid].double().mean(1).float()[:, None, None]
    ranges = per_band(value_range, len(sample.pixels))
    # In double precision, as a single range has always been taken.
    ends = torch.tensor(ranges, dtype=torch.float64)[:, :, None, None]
    low, high = ends.float().unbind(1)
    shift = (step * (ends[:, 1] - ends[:, 0])).float()
    stretched = (sample.pixels - means) * gain + means + shift
    return sample._replace(pixels=stretched.clamp(low, high))
