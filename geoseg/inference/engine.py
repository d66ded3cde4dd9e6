"""Blocks as Dask tasks: in this process, or on a cluster's workers. The only file that knows Dask.

A task is idempotent: it looks which of its parts are missing, runs the windows that touch them and writes them.
It can be run again, elsewhere, or twice; what it leaves is the same.

    in one process:  reader thread -> forward, stitch (one block at a time) -> writer thread -> parts
"""

from __future__ import annotations

import queue
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import rasterio
import torch

from geoseg.inference.memory import GDAL_CACHE, peak_memory
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import Options, Predictor
from geoseg.inference.stitching import Band
from geoseg.inference.stream import stream_block
from geoseg.models import Model, load_model
from geoseg.raster import Source, read_part
from geoseg.tiling import Block
from geoseg.vector import PartPieces, part_pieces

_TOPIC = "geoseg-windows"


@dataclass(frozen=True, slots=True)
class BlockTask:
    """All that a process needs to predict one block; it can be pickled."""

    number: int
    block: Block
    source: Source
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
    """Bytes that the process has held at most so far."""


def run_block(
    task: BlockTask,
    predictor: Predictor,
    *,
    stopped: Callable[[], bool],
    on_window: Callable[[int], None],
) -> BlockResult:
    """Write the missing parts of one block.

    Raises:
        SourceError: the raster cannot be read.
        OutputError: a part cannot be written.
        ModelError: the network does not fit into memory or gives NaN.
    """
    forwards, seconds = predictor.forwards, predictor.seconds
    missing = task.folder.missing(task.number, task.block)
    if missing:
        bands = stream_block(
            task.block,
            task.source,
            predictor,
            min_confidence=task.min_confidence,
            probabilities=task.folder.probabilities,
            wanted=frozenset(missing),
            stopped=stopped,
            on_window=on_window,
        )
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE), closing(bands), _writer(task) as write:
            for lattice_row, band in bands:
                write(lattice_row, band)
    return BlockResult(predictor.forwards - forwards, predictor.seconds - seconds, peak_memory())


@contextmanager
def _writer(task: BlockTask) -> Iterator[Callable[[int, Band], None]]:
    """A function that hands a band to the writer thread; on leaving, all of them are written."""
    waiting: queue.Queue[tuple[int, Band] | None] = queue.Queue(maxsize=1)
    failed: list[BaseException] = []

    def work() -> None:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE):
            while (item := waiting.get()) is not None:
                if failed:
                    continue  # keep emptying the queue, so that the caller's thread never waits for it
                try:
                    task.folder.write(task.number, *item)
                except BaseException as error:  # raised in the caller's thread
                    failed.append(error)

    def write(lattice_row: int, band: Band) -> None:
        if failed:
            raise failed[0]
        waiting.put((lattice_row, band))

    thread = threading.Thread(target=work, name="geoseg-writer", daemon=True)
    thread.start()
    try:
        yield write
    finally:
        waiting.put(None)
        thread.join()
    if failed:
        raise failed[0]


def run_here(
    tasks: Sequence[BlockTask], predictor: Predictor, on_window: Callable[[int], None]
) -> list[BlockResult]:
    """Run blocks in this process, one at a time, on Dask's threaded scheduler."""
    stop = threading.Event()

    def run(index: int) -> BlockResult:
        return run_block(tasks[index], predictor, stopped=stop.is_set, on_window=on_window)

    delayed = [dask.delayed(run)(index) for index in range(len(tasks))]
    try:
        return list(dask.compute(*delayed, scheduler="threads", num_workers=1))
    finally:
        # An interrupt reaches the main thread; the block in flight ends at its next forward.
        stop.set()


def polygonize_parts(folder: PartFolder, blocks: list[Block]) -> Iterator[PartPieces]:
    """The polygons of each part, top to bottom, made a few parts at a time on Dask's threads."""
    labels = folder.parts(blocks, "classes")
    pairs = sorted(
        zip(labels, folder.parts(blocks, "confidence"), strict=True),
        key=lambda pair: (pair[0].row, pair[0].col),
    )

    def polygonize(index: int) -> PartPieces:
        part, confidence = pairs[index]
        return part_pieces(read_part(part)[0], read_part(confidence)[0], part.row, part.col)

    threads = torch.get_num_threads()
    for first in range(0, len(pairs), threads):
        some = [
            dask.delayed(polygonize)(index)
            for index in range(first, min(first + threads, len(pairs)))
        ]
        yield from dask.compute(*some, scheduler="threads", num_workers=threads)


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """A client of a cluster of worker processes on this machine."""
    from distributed import Client, LocalCluster

    with (
        dask.config.set(
            {"distributed.worker.daemon": True, "distributed.admin.log-format": "%(message)s"}
        ),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_leave_interrupts_to_the_client)
        yield client


def run_on_cluster(
    tasks: Sequence[BlockTask],
    client: Any,
    model: Path,
    options: Options,
    *,
    batch: int | None,
    threads: int,
    on_window: Callable[[int], None],
) -> list[BlockResult]:
    """Run blocks on a cluster's workers; each worker loads the model once.

    Args:
        tasks: the blocks.
        client: a `distributed.Client`.
        model: model file, readable by every worker.
        options: how windows are run.
        batch: windows per forward.
        threads: torch threads of each worker (Dask's nanny leaves it one, whatever the machine has).
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
        options=options,
        batch=batch,
        threads=threads,
        pure=False,
    )
    try:
        return [result for _, result in as_completed(futures, with_results=True)]
    except BaseException:
        # An interrupt, or a block that failed: the others end at their next forward, and leave whole parts only.
        client.cancel(futures)
        client.run(_stop, run)
        raise
    finally:
        client.unsubscribe_topic(_TOPIC)


_stopped_runs: set[str] = set()
"""Of a worker process: the runs whose blocks shall not go on."""


def _stop(run: str) -> None:
    _stopped_runs.add(run)


def _leave_interrupts_to_the_client() -> None:
    """Ctrl-C reaches all processes of a terminal; only the one that the user talks to acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_remote(
    task: BlockTask, *, run: str, model: Path, options: Options, batch: int | None, threads: int
) -> BlockResult | None:
    from distributed import get_worker

    worker = get_worker()
    torch.set_num_threads(threads)
    try:
        return run_block(
            task,
            _loaded(model, options, batch),
            stopped=lambda: run in _stopped_runs,
            on_window=lambda count: worker.log_event(_TOPIC, count),
        )
    except (
        KeyboardInterrupt
    ):  # from `stopped`; nobody waits for the result, and Dask would end the worker with noise
        return None


@lru_cache(maxsize=1)
def _loaded(path: Path, options: Options, batch: int | None) -> Predictor:
    model: Model = load_model(path)
    return Predictor(model, options, batch)
