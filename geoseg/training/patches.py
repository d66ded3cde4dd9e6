"""Random patches straight from the rasters.

Patch number n is a function of the seed and n alone: which tile, where, and how it is changed. So neither the
number of workers nor a stop in between changes what is learnt, and a resumed run goes on at the number it left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.tiles import Patch, Tile, TileReader
from geoseg.errors import GeosegError
from geoseg.prefetch import ahead
from geoseg.tiling import Window
from geoseg.training.augment import augment_patch, resize, zoom_factor
from geoseg.training.recipe import Recipe
from geoseg.training.sampling import Sampler, Target, Uniform

OPEN_TILES = 100
"""Tiles held open at once by one process; systems allow a process some 1,000 files."""
AHEAD = 3
"""Batches that a thread makes before they are asked for, where no worker processes do."""
TRIES = 20
"""Windows drawn until one holds a label; sparse labels would otherwise give batches without any."""


class Batch(NamedTuple):
    """What one step learns from."""

    pixels: Tensor
    """``(N, bands, height, width)`` float32, in the rasters' units."""
    valid: Tensor
    """``(N, height, width)`` bool."""
    labels: Tensor
    """``(N, height, width)`` int64 class ids, 255 unlabelled."""
    places: Tensor
    """``(N, 5)`` int64 where the patches are from: position of the tile, then row, column, height and width there."""

    def split(self, parts: int) -> Iterator[Batch]:
        """The batch in `parts` parts of one size."""
        size = len(self.labels) // parts
        return (
            Batch(*(tensor[first : first + size] for tensor in self))
            for first in range(0, parts * size, size)
        )


class Patches(Dataset[tuple[Any, ...]]):
    """All patches of a run by their number."""

    def __init__(
        self,
        tiles: Sequence[Tile],
        scheme: ClassScheme,
        recipe: Recipe,
        value_range: tuple[float, float],
        sampler: Sampler | None = None,
    ) -> None:
        """Patches of these tiles; without a sampler, uniform over the area of all."""
        self.tiles = list(tiles)
        self._scheme = scheme
        self._recipe = recipe
        self._value_range = value_range
        self._sampler = sampler or Uniform(tiles)
        held = sum(tile.bytes for tile in tiles) * max(1, recipe.workers)
        self._cached = held <= recipe.cache * 2**30
        self._sources: dict[int, TileReader | _Held] = {}
        self._process = os.getpid()

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """Pixels, mask, labels and place of one patch."""
        rng = np.random.default_rng((self._recipe.seed, number))
        for _ in range(TRIES):
            patch, place = self._read(self._sampler.draw(rng), rng)
            if (patch.labels != NODATA).any():
                break
        patch = augment_patch(patch, self._recipe.augment, self._value_range, rng)
        # Copies: a mirrored or turned view has strides that no tensor takes.
        pixels = np.array(patch.pixels, np.float32, order="C")
        return (
            pixels,
            np.array(patch.valid, order="C"),
            np.array(patch.labels, np.int64, order="C"),
            place,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the open files: each worker opens its own."""
        return self.__dict__ | {"_sources": {}}

    def _read(self, target: Target, rng: np.random.Generator) -> tuple[Patch, NDArray[np.int64]]:
        """A window at the size of the crop, and its place; what the tile lacks is mirrored, without labels."""
        image = self.tiles[target.tile].image
        zoom = zoom_factor(self._recipe.augment, rng)
        tall, wide = (max(1, round(side / zoom)) for side in self._recipe.crop_size)
        height, width = min(tall, image.height), min(wide, image.width)
        window = target.window((image.height, image.width), (height, width), rng)
        patch = self._source(target.tile).read(window)
        if (height, width) != (tall, wide):
            missing = ((0, tall - height), (0, wide - width))
            patch = Patch(
                np.pad(patch.pixels, ((0, 0), *missing), mode="reflect"),
                np.pad(patch.valid, missing, mode="reflect"),
                np.pad(patch.labels, missing, constant_values=NODATA),
            )
        return resize(patch, self._recipe.crop_size), np.array(
            [target.tile, window.row, window.col, height, width], np.int64
        )

    def _source(self, position: int) -> TileReader | _Held:
        """One tile, opened (or read whole) when it is first asked for."""
        if (
            self._process != os.getpid()
        ):  # a forked worker: it would share the read position of its parent's files
            self._sources, self._process = {}, os.getpid()
        if position not in self._sources:
            if not self._cached and len(self._sources) == OPEN_TILES:
                self._sources.pop(next(iter(self._sources))).close()
            reader = TileReader(self.tiles[position], self._scheme)
            self._sources[position] = _Held(reader) if self._cached else reader
        return self._sources[position]


class _Held:
    """A tile in memory."""

    def __init__(self, reader: TileReader) -> None:
        with reader:
            image = reader.tile.image
            self._whole = reader.read(Window(0, 0, image.height, image.width))

    def read(self, window: Window) -> Patch:
        rows, cols = window.slices()
        return self._whole.moved(lambda array: array[..., rows, cols])

    def close(self) -> None:
        """Nothing is open."""


def batches(
    patches: Patches, recipe: Recipe, first_step: int = 0, share: tuple[int, int] = (0, 1)
) -> Iterator[Batch]:
    """The batches of the steps from `first_step` on, prepared while the network computes.

    Args:
        patches: all of the run.
        recipe: its `batch`, `steps` and `workers`.
        first_step: counted from 0.
        share: number of this process and how many there are; each takes its part of every batch.
    """
    rank, processes = share
    size = recipe.batch // processes
    firsts = range(
        first_step * recipe.batch + rank * size, recipe.steps * recipe.batch, recipe.batch
    )
    loader: DataLoader[tuple[Any, ...]] = DataLoader(
        patches,
        batch_sampler=[list(range(first, first + size)) for first in firsts],
        num_workers=recipe.workers,
        # Its own generator: drawing from the global one would shift the dropout of a resumed run.
        generator=torch.Generator(),
        pin_memory=recipe.workers > 0 and torch.cuda.is_available(),
    )
    made = (Batch(*parts) for parts in loader)
    return _plain_errors(made) if recipe.workers else ahead(made, AHEAD, "geoseg-patches")


def _plain_errors(made: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; what a worker refuses is said in its own line again, without torch's traceback around it."""
    try:
        yield from made
    except GeosegError as error:
        raise type(error)(str(error).strip().splitlines()[-1].partition(": ")[2]) from error
