"""Blocks as tasks: run the windows that touch missing rows, write their bands as parts.

    reader thread -> forward, stitch (the calling thread) -> writer thread -> parts

A task is idempotent: it can be run again, elsewhere, or twice at once; what it leaves is the same.
Dask runs them, here or on worker processes; only this file and `cluster` know Dask.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import dask.threaded  # given by name, its scheduler makes dask import distributed
import rasterio
import torch

from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import Predictor
from geoseg.inference.probe import peak_memory
from geoseg.inference.stitching import Band
from geoseg.inference.stream import stream_block
from geoseg.models import load_model
from geoseg.raster import GDAL_CACHE_BYTES, read_part
from geoseg.tiling import Block
from geoseg.vector import PartRegions, polygonize_part

_TOPIC = "geoseg-windows"


@dataclass(frozen=True, slots=True)
class BlockTask:
    """All that a process needs to predict the rest of one block; it can be pickled."""

    number: int
    """Of the block among those of its raster."""
    block: Block
    missing_rows: tuple[int, ...]
    """Lattice rows whose bands are to be written."""
    folder: PartFolder
    min_confidence: float


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What a block took."""

    forwards: int
    """Windows that were run."""
    forward_seconds: float
    """Time spent in them."""
    peak_memory: int
    """Peak memory of the process so far, bytes."""


def run_block(
    task: BlockTask,
    predictor: Predictor,
    *,
    stopped: Callable[[], bool],
    on_window: Callable[[int], None],
) -> BlockResult:
    """Write the missing parts of one block.

    Args:
        task: the block.
        predictor: the model, ready to run.
        stopped: asked before each forward; True ends the block with KeyboardInterrupt.
        on_window: called with the number of windows that were run or found empty.

    Raises:
        SourceError: the raster cannot be read.
        OutputError: a part cannot be written.
        ModelError: the network does not fit into memory or gives NaN.
    """
    forwards, seconds = predictor.forwards, predictor.seconds
    bands = stream_block(
        task.block,
        task.folder.source,
        predictor,
        min_confidence=task.min_confidence,
        probabilities=task.folder.probabilities,
        wanted=frozenset(task.missing_rows),
        stopped=stopped,
        on_window=on_window,
    )
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), closing(bands):
        _write_bands(task, bands)
    return BlockResult(predictor.forwards - forwards, predictor.seconds - seconds, peak_memory())


def _write_bands(task: BlockTask, bands: Iterator[tuple[int, Band]]) -> None:
    """Write each band in a thread while the next one is predicted."""

    def write(lattice_row: int, band: Band) -> None:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            task.folder.write(task.number, lattice_row, band)

    before: Future[None] | None = None
    with ThreadPoolExecutor(1, "geoseg-writer") as writer:
        for lattice_row, band in bands:
            if before is not None:
                before.result()  # raises what its writing raised
            before = writer.submit(write, lattice_row, band)
        if before is not None:
            before.result()


def run_here(
    tasks: Sequence[BlockTask], predictor: Predictor, on_window: Callable[[int], None]
) -> list[BlockResult]:
    """Run blocks in this process, one at a time, on Dask's threaded scheduler."""
    stop = threading.Event()

    def run(index: int) -> BlockResult:
        return run_block(tasks[index], predictor, stopped=stop.is_set, on_window=on_window)

    delayed = [dask.delayed(run)(index) for index in range(len(tasks))]
    try:
        return list(dask.compute(*delayed, scheduler=dask.threaded.get, num_workers=1))
    finally:
        # An interrupt reaches the main thread; the block in flight ends at its next forward.
        stop.set()


def polygonize_parts(folder: PartFolder, blocks: Sequence[Block]) -> Iterator[PartRegions]:
    """The polygons of each part, top to bottom, made a few parts at a time on Dask's threads."""
    labels, confidences = folder.parts(blocks, "classes"), folder.parts(blocks, "confidence")
    order = sorted(range(len(labels)), key=lambda index: (labels[index].row, labels[index].col))

    def polygonize(index: int) -> PartRegions:
        part, confidence = labels[index], read_part(confidences[index])[0]
        return polygonize_part(read_part(part)[0], confidence, part.row, part.col)

    threads = torch.get_num_threads()
    for first in range(0, len(order), threads):
        delayed = [dask.delayed(polygonize)(index) for index in order[first : first + threads]]
        yield from dask.compute(*delayed, scheduler=dask.threaded.get, num_workers=threads)


def run_on_workers(
    tasks: Sequence[BlockTask],
    client: Any,
    model: Path,
    forward: ForwardOptions,
    *,
    batch: int | None,
    threads: int,
    on_window: Callable[[int], None],
) -> list[BlockResult]:
    """Run blocks on worker processes; each of them loads the model once.

    Args:
        tasks: the blocks.
        client: a `distributed.Client`.
        model: model file that every worker can read.
        forward: how windows are run.
        batch: windows per forward.
        threads: torch threads of each worker; Dask's nanny leaves it one, whatever the machine has.
        on_window: called in this process with the number of windows done.
    """
    from distributed import as_completed

    run = uuid.uuid4().hex
    client.subscribe_topic(_TOPIC, lambda event: on_window(event[1]))
    futures = client.map(
        _run_remote,
        list(tasks),
        run=run,
        model=model,
        forward=forward,
        batch=batch,
        threads=threads,
        pure=False,
    )
    try:
        return [result for _, result in as_completed(futures, loop=client.loop, with_results=True)]
    except BaseException:
        # An interrupt, or a block that failed: the others end at their next forward.
        client.cancel(futures)
        client.run(_stop, run, on_error="ignore")  # one of them may be dead
        raise
    finally:
        client.unsubscribe_topic(_TOPIC)


_stopped_runs: set[str] = set()
"""In a worker process: the runs whose blocks must stop."""


def _stop(run: str) -> None:
    _stopped_runs.add(run)


def _run_remote(
    task: BlockTask,
    *,
    run: str,
    model: Path,
    forward: ForwardOptions,
    batch: int | None,
    threads: int,
) -> BlockResult | None:
    from distributed import get_worker

    worker = get_worker()
    torch.set_num_threads(threads)
    try:
        return run_block(
            task,
            _load_predictor(model, forward, batch),
            stopped=lambda: run in _stopped_runs,
            on_window=lambda count: worker.log_event(_TOPIC, count),
        )
    except KeyboardInterrupt:
        # From `stopped`: nobody waits for the result, and Dask would end the worker with noise.
        return None


@lru_cache(maxsize=1)
def _load_predictor(model: Path, forward: ForwardOptions, batch: int | None) -> Predictor:
    return Predictor(load_model(model), forward, batch)
