"""A raster's pixels as a network takes them; the only place, for training and prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.models import Card


@dataclass(frozen=True, slots=True)
class Normalization:
    """Scale and shift of each band, and what happens to invalid pixels."""

    mean: tuple[float, ...]
    """Mean of each band, in units of `value_range`."""
    std: tuple[float, ...]
    """Standard deviation of each band, likewise."""
    value_range: tuple[float, float]
    """The range that mean and std refer to."""
    source_range: tuple[float, float] | None = None
    """The source's values that mean `value_range`; others are clipped. None: taken as they are."""

    @classmethod
    def from_card(
        cls, card: Card, source_range: tuple[float, float] | None = None
    ) -> Normalization:
        """The normalization that a model's card asks for."""
        return cls(card.mean, card.std, card.value_range, source_range)

    def __call__(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """Normalized float32 input of a network.

        Args:
            pixels: ``(N, bands, H, W)``, any real dtype, in the source's units.
            valid: ``(N, H, W)`` bool; invalid pixels become the mean (0 after normalization).

        Returns:
            ``(N, bands, H, W)`` float32 on the device of `pixels`.
        """
        target = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
        self.fill(target, pixels, valid)
        return target

    def fill(self, target: Tensor, pixels: Tensor, valid: Tensor) -> None:
        """The same into `target`, which has the shape of `pixels` and any layout."""
        mean = torch.tensor(self.mean, dtype=torch.float64)
        std = torch.tensor(self.std, dtype=torch.float64)
        target.copy_(pixels)
        scale, shift = 1.0 / std, -mean / std
        if self.source_range is not None:
            low, high = self.source_range
            target.clamp_(low, high)
            gain = (self.value_range[1] - self.value_range[0]) / (high - low)
            scale, shift = gain / std, (self.value_range[0] - low * gain - mean) / std
        for band, plane in enumerate(target.unbind(1)):
            plane.mul_(float(scale[band])).add_(float(shift[band]))
        if target.device.type != "cpu" or not bool(valid.all()):
            target.masked_fill_(~valid[:, None], 0.0)
