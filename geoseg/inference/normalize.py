"""A raster's pixels as a network takes them; the only place, for training and prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.models import Card
from geoseg.value_ranges import Range, ValueRange, per_band


@dataclass(frozen=True, slots=True)
class Normalization:
    """Scale and shift of each band, and what happens to invalid pixels."""

    mean: tuple[float, ...]
    """Mean of each band, in units of `value_range`."""
    std: tuple[float, ...]
    """Standard deviation of each band, likewise."""
    value_range: ValueRange
    """The range that mean and std refer to."""
    source_range: ValueRange | None = None
    """The source's values that mean `value_range`; others are clipped. None: taken as they are."""

    @classmethod
    def from_card(cls, card: Card, source_range: ValueRange | None = None) -> Normalization:
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
        target.copy_(pixels)
        if self.source_range is not None:
            for (low, high), plane in zip(self._source_ranges(), target.unbind(1), strict=True):
                plane.clamp_(low, high)
        for (scale, shift), plane in zip(self._lines(), target.unbind(1), strict=True):
            plane.mul_(scale).add_(shift)
        if target.device.type != "cpu" or not bool(valid.all()):
            target.masked_fill_(~valid[:, None], 0.0)

    def _source_ranges(self) -> tuple[Range, ...]:
        return per_band(self.source_range or self.value_range, len(self.mean))

    def _lines(self) -> list[tuple[float, float]]:
        """Factor and summand of each band."""
        if self.source_range is None:
            each = zip(self.mean, self.std, strict=True)
            return [(1.0 / std, -mean / std) for mean, std in each]
        found = []
        bands = zip(
            self.mean,
            self.std,
            per_band(self.value_range, len(self.mean)),
            self._source_ranges(),
            strict=True,
        )
        for mean, std, (low, high), (from_low, from_high) in bands:
            gain = (high - low) / (from_high - from_low)
            found.append((gain / std, (low - from_low * gain - mean) / std))
        return found
