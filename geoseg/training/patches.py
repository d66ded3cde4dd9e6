"""Random patches straight from the rasters.

Patch number n is a function of the seed and n alone: which tile, where, and how it is changed. So
neither the number of workers nor a stop in between changes the training, and a resumed run
continues at the number where it stopped.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.tiles import Patch, Tile, TileReader
from geoseg.errors import GeosegError, RunError, one_line_reason
from geoseg.inference.fork_server import START_METHOD, fork_server, unguarded_script
from geoseg.prefetch import prefetch
from geoseg.stopping import report_nothing
from geoseg.tiling import Window
from geoseg.training.augment import Sample, augment_sample, resize, zoom_factor
from geoseg.training.recipe import Recipe
from geoseg.training.sampling import Sampler, Target, Uniform
from geoseg.value_ranges import ValueRange

_OPEN_TILES = 100
"""Tiles kept open at once by one process; systems allow a process some 1,000 files."""
_BATCHES_AHEAD = 3
"""Batches that a thread makes before they are asked for, where there are no worker processes."""
_TRIES = 20
"""Windows drawn until one holds a label; sparse labels would otherwise give batches without any."""


class Batch(NamedTuple):
    """The samples of one optimizer step."""

    pixels: Tensor
    """``(N, bands, height, width)`` float32, in the rasters' units."""
    valid: Tensor
    """``(N, height, width)`` bool."""
    labels: Tensor
    """``(N, height, width)`` int64 class ids, 255 unlabelled."""
    places: Tensor
    """``(N, 5)`` int64: position of the tile, then row, column, height and width of the window
    there."""

    def split(self, parts: int) -> Iterator[Batch]:
        """The batch in `parts` parts of one size."""
        return map(Batch, *(tensor.chunk(parts) for tensor in self))


class Patches(Dataset[tuple[Tensor, ...]]):
    """All patches of a run by their number."""

    def __init__(
        self,
        tiles: Sequence[Tile],
        scheme: ClassScheme,
        recipe: Recipe,
        value_range: ValueRange,
        sampler: Sampler | None = None,
    ) -> None:
        """Patches of these tiles; without a sampler, uniform over the area of all."""
        self.tiles = list(tiles)
        self._scheme = scheme
        self._recipe = recipe
        self._value_range = value_range
        self._sampler = sampler or Uniform(tiles)
        needed = sum(tile.bytes for tile in tiles) * max(1, recipe.workers)
        self._cached = needed <= recipe.cache * 2**30
        self._readers: dict[int, TileReader | _CachedTile] = {}

    def __getitem__(self, number: int) -> tuple[Tensor, ...]:
        """One patch: pixels, mask, labels and place, as in a `Batch`."""
        rng = np.random.default_rng((self._recipe.seed, number))
        for _ in range(_TRIES):
            sample, place = self._read(self._sampler.draw(rng), rng)
            if (sample.labels != NODATA).any():
                break
        sample = augment_sample(sample, self._recipe.augment, self._value_range, rng)
        return sample.pixels, sample.valid, sample.labels.long(), torch.tensor(place)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the open files: each worker opens its own."""
        return self.__dict__ | {"_readers": {}}

    def _read(self, target: Target, rng: np.random.Generator) -> tuple[Sample, tuple[int, ...]]:
        """A window at the size of the crop, mirrored and unlabelled outside the tile; its place."""
        image = self.tiles[target.tile].image
        zoom = zoom_factor(self._recipe.augment, rng)
        wanted = [max(1, round(side / zoom)) for side in self._recipe.crop_size]
        height, width = min(wanted[0], image.height), min(wanted[1], image.width)
        window = target.window((image.height, image.width), (height, width), rng)
        patch = self._reader(target.tile).read(window)
        missing = ((0, wanted[0] - height), (0, wanted[1] - width))
        padded = Patch(
            np.pad(patch.pixels, ((0, 0), *missing), mode="reflect"),
            np.pad(patch.valid, missing, mode="reflect"),
            np.pad(patch.labels, missing, constant_values=NODATA),
        )
        place = (target.tile, window.row, window.col, height, width)
        return resize(Sample.from_patch(padded), self._recipe.crop_size), place

    def _reader(self, position: int) -> TileReader | _CachedTile:
        """One tile, opened (or read whole) when it is first asked for."""
        if position not in self._readers:
            if not self._cached and len(self._readers) == _OPEN_TILES:
                self._readers.pop(next(iter(self._readers))).close()
            reader = TileReader(self.tiles[position], self._scheme)
            self._readers[position] = _CachedTile(reader) if self._cached else reader
        return self._readers[position]


class _CachedTile:
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
    patches: Patches, recipe: Recipe, first_step: int = 0, *, rank: int = 0, processes: int = 1
) -> Iterator[Batch]:
    """The batches of the steps from `first_step` on, prepared while the network computes.

    Args:
        patches: all of the run.
        recipe: its `batch`, `steps` and `workers`.
        first_step: counted from 0.
        rank: number of this process.
        processes: how many there are; each takes its part of every batch.

    Raises:
        SourceError: a tile cannot be read; when its batch comes.
        RunError: a worker process has died.
    """
    # Step s trains on patches s * batch to (s + 1) * batch - 1; of these, each process takes as
    # many in a row, in the order of their ranks.
    size = recipe.batch // processes
    starts = [step * recipe.batch + rank * size for step in range(first_step, recipe.steps)]
    loader: DataLoader[tuple[Tensor, ...]] = DataLoader(
        patches,
        batch_sampler=[list(range(start, start + size)) for start in starts],
        num_workers=recipe.workers,
        # A separate generator: drawing from the global one would shift a resumed run's dropout.
        generator=torch.Generator(),
        pin_memory=recipe.workers > 0 and torch.cuda.is_available(),
        worker_init_fn=_leave_signals_and_reports_to_the_parent,
        # A fork of this process would for ever wait for what a thread of it holds at that moment:
        # PROJ locks its database while a thread ends, which Python does not wait for.
        multiprocessing_context=START_METHOD if recipe.workers else None,
    )
    if recipe.workers:
        return _from_workers(loader)
    return prefetch(map(_batch, loader), _BATCHES_AHEAD, "geoseg-patches")


def _leave_signals_and_reports_to_the_parent(_: int) -> None:
    """In a worker, whose errors reach the parent in place of a batch.

    Ctrl-C reaches all processes of a terminal; the parent ends its workers. The thread that hands
    batches over would report only that a parent which was stopped has gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = report_nothing


def _from_workers(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[Batch]:
    """The batches; errors of workers get their message back, without torch's traceback."""
    try:
        with fork_server([__name__]):
            yield from map(_batch, loader)
    except GeosegError as error:
        line = str(error).strip().splitlines()[-1].partition(": ")[2]
        # Its traceback and itself hold one another, and the loader: until both were collected, its
        # workers would wait.
        raise type(error)(line) from error.with_traceback(None)
    except (RuntimeError, OSError, EOFError) as error:
        is_of_torch = not isinstance(error, RuntimeError) or "DataLoader worker" in str(error)
        if not is_of_torch or str(error).startswith("Caught "):  # what a worker raised, and lives
            raise
        helps = unguarded_script() or "often memory lacks, which fewer train.workers save"
        raise RunError(
            f"a worker process of the training has died ({one_line_reason(error)}); {helps}; "
            "with train.workers=0 nothing is started"
        ) from error


def _batch(tensors: tuple[Tensor, ...]) -> Batch:
    return Batch(*tensors)
