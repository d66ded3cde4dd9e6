"""How far an exported network is from its origin, on tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geoseg.errors import ModelError
from geoseg.models import Card

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""``(N, bands, H, W)`` standardised images to ``(N, classes, H, W)`` probabilities."""

MOST_DIFFERENCE = 1e-3
"""Of any probability, from the network in fp32."""
LEAST_LABELS = 0.999
"""Share of pixels of the same class, likewise."""
_COARSE = 8
"""Sides of the coarse noise that generated tiles are drawn from, in cells."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an exported network gives against the one that it was made from."""

    difference: float
    """The largest of any probability."""
    labels: float
    """The share of pixels with the same class."""
    pixels: int
    """On which both were run."""

    def to_json(self) -> dict[str, float]:
        """The numbers by name."""
        return {
            "max_difference": self.difference,
            "label_agreement": self.labels,
            "pixels": self.pixels,
        }

    def check(self, what: str) -> None:
        """Refuse an export that is not the network.

        Raises:
            ModelError: probabilities differ by more than 1e-3, or 0.1 % of the labels.
        """
        if self.difference > MOST_DIFFERENCE or self.labels < LEAST_LABELS:
            raise ModelError(
                f"{what} differs from the model (probabilities by up to {self.difference:.2g}, "
                f"{100 * self.labels:.2f} % of the labels agree; 0.001 and 99.9 % are needed); "
                "nothing was written; report this with the model's card"
            )


def generated_tiles(card: Card, sides: Iterable[int], seed: int = 0) -> list[NDArray[np.float32]]:
    """Standardised images of coarse and fine noise, as rough and as smooth as imagery.

    Args:
        card: of the model, which says how many bands there are.
        sides: of the tiles, in pixels; each tile is as high as it is wide.
        seed: of the noise.

    Returns:
        ``(1, bands, side, side)`` float32 images.
    """
    random = torch.Generator().manual_seed(seed)
    tiles = []
    for side in sides:
        coarse = torch.randn(1, len(card.bands), _COARSE, _COARSE, generator=random)
        smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
        fine = torch.randn(1, len(card.bands), side, side, generator=random)
        tiles.append((smooth + 0.3 * fine).numpy())
    return tiles


def compare(run: Run, reference: nn.Module, tiles: Iterable[NDArray[np.float32]]) -> Agreement:
    """Run both on the tiles.

    Args:
        run: the exported network.
        reference: the network, which gives probabilities.
        tiles: ``(N, bands, H, W)`` standardised images.

    Raises:
        ModelError: the exported network gives another shape, or no numbers.
    """
    difference, same, pixels = 0.0, 0, 0
    for tile in tiles:
        found = run(tile)
        with torch.inference_mode():
            wanted: NDArray[Any] = reference(torch.from_numpy(tile)).numpy()
        if found.shape != wanted.shape:
            raise ModelError(
                f"the exported network gives {found.shape} for a tile of {tile.shape}, the model "
                f"{wanted.shape}; nothing was written; report this with the model's card"
            )
        if not np.isfinite(found).all():
            raise ModelError(
                "the exported network gives values that are no numbers, as of numbers too large "
                "for it; nothing was written; export it with --precision fp32"
            )
        difference = max(difference, float(np.abs(found - wanted).max()))
        same += int((found.argmax(1) == wanted.argmax(1)).sum())
        pixels += found[:, 0].size
    return Agreement(difference, same / pixels, pixels)
