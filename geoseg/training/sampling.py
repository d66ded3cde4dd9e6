"""Where patches are taken from: anywhere, or around pixels of each class equally often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError
from geoseg.tiling import Window
from geoseg.training.recipe import Recipe


class Target(NamedTuple):
    """A tile, and the pixel that a window of it must show."""

    tile: int
    row: int | None = None
    """None where any window will do."""
    col: int | None = None

    def window(
        self, image: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
    ) -> Window:
        """A window that shows the pixel, all positions equally likely.

        Args:
            image: height and width of the tile.
            size: height and width of the window, at most the tile's.
            rng: decides.
        """
        row = _start(self.row, image[0], size[0], rng)
        col = _start(self.col, image[1], size[1], rng)
        return Window(row, col, *size)


class Uniform:
    """Tiles by their area."""

    def __init__(self, tiles: Sequence[Tile]) -> None:
        areas = np.array([tile.area for tile in tiles], np.float64)
        self._shares = areas / areas.sum()

    def draw(self, rng: np.random.Generator) -> Target:
        """A tile."""
        return Target(int(rng.choice(len(self._shares), p=self._shares)))


class Balanced:
    """Each class equally often, and within a class each pixel."""

    def __init__(self, places: Sequence[NDArray[np.int32]]) -> None:
        self._places = [pixels for pixels in places if len(pixels)]

    def draw(self, rng: np.random.Generator) -> Target:
        """A pixel of one of the classes that occur."""
        pixels = self._places[int(rng.integers(len(self._places)))]
        return Target(*map(int, pixels[int(rng.integers(len(pixels)))]))


Sampler = Uniform | Balanced
"""Draws targets; the same state of the generator gives the same target."""


def choose_sampler(
    recipe: Recipe, tiles: Sequence[Tile], places: Sequence[NDArray[np.int32]]
) -> Sampler:
    """The sampler that a recipe asks for.

    Args:
        recipe: its `sampling`.
        tiles: what to train on.
        places: pixels of each class, as `PixelSample.places`.

    Raises:
        ConfigError: classes are to be balanced, and no pixel of any is known.
    """
    if recipe.sampling == "uniform":
        return Uniform(tiles)
    if not any(map(len, places)):
        raise ConfigError(
            "train.sampling: balanced needs labelled pixels in the training tiles; there are none"
        )
    return Balanced(places)


def _start(pixel: int | None, whole: int, part: int, rng: np.random.Generator) -> int:
    """Where a window of `part` of `whole` pixels begins so that it shows `pixel`."""
    low, high = 0, whole - part
    if pixel is not None:
        low, high = max(low, pixel - part + 1), min(high, pixel)
    return int(rng.integers(low, high + 1))
