"""Where patches are taken from: anywhere alike, or about pixels of each class in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

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
        """A window with the target, all positions alike.

        Args:
            image: height and width of the tile.
            size: height and width of the window, at most the tile's.
            rng: decides.
        """
        (row, height), (col, width) = (
            (_start(pixel, whole, part, rng), part)
            for pixel, whole, part in zip((self.row, self.col), image, size, strict=True)
        )
        return Window(row, col, height, width)


class Sampler(Protocol):
    """Draws targets; the same state of the generator gives the same target."""

    def draw(self, rng: np.random.Generator) -> Target:
        """The next target."""


class Uniform:
    """Tiles by their area."""

    def __init__(self, tiles: Sequence[Tile]) -> None:
        areas = np.array([tile.area for tile in tiles], np.float64)
        self._shares = areas / areas.sum()

    def draw(self, rng: np.random.Generator) -> Target:
        """A tile."""
        return Target(int(rng.choice(len(self._shares), p=self._shares)))


class Balanced:
    """Classes alike, and among the pixels of a class each alike."""

    def __init__(self, places: Sequence[NDArray[np.int32]]) -> None:
        self._places = [pixels for pixels in places if len(pixels)]

    def draw(self, rng: np.random.Generator) -> Target:
        """A pixel of one of the classes that there are."""
        pixels = self._places[int(rng.integers(len(self._places)))]
        return Target(*map(int, pixels[int(rng.integers(len(pixels)))]))


def choose_sampler(
    recipe: Recipe, tiles: Sequence[Tile], places: Sequence[NDArray[np.int32]]
) -> Sampler:
    """The sampler that a recipe asks for.

    Args:
        recipe: its `sampling`.
        tiles: what is learnt from.
        places: pixels of each class, as `PixelSample.places`.

    Raises:
        ConfigError: classes are to be balanced, and no pixel of any is known.
    """
    if recipe.sampling == "uniform":
        return Uniform(tiles)
    if not any(map(len, places)):
        raise ConfigError(
            "train.sampling: balanced needs the labelled pixels of the training tiles; there are none"
        )
    return Balanced(places)


def _start(pixel: int | None, whole: int, part: int, rng: np.random.Generator) -> int:
    """Where a window of `part` pixels begins so that it lies inside and shows `pixel`."""
    low, high = (
        (0, whole - part) if pixel is None else (max(0, pixel - part + 1), min(pixel, whole - part))
    )
    return int(rng.integers(low, high + 1))
