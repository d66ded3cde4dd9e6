"""Blocks and parts as Dask tasks, here or on worker processes; the only file that knows Dask."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import torch

from geoseg.inference.block_run import BlockResult, BlockTask, run_block
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import ForwardOptions, Predictor
from geoseg.models import load_model
from geoseg.raster import read_part
from geoseg.tiling import Block
from geoseg.vector import PartRegions, polygonize_part

_TOPIC = "geoseg-windows"


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


def polygonize_parts(folder: PartFolder, blocks: Sequence[Block]) -> Iterator[PartRegions]:
    """The polygons of each part, top to bottom, made a few parts at a time on Dask's threads."""
    labels, confidences = folder.parts(blocks, "classes"), folder.parts(blocks, "confidence")
    pairs = list(zip(labels, confidences, strict=True))
    pairs.sort(key=lambda pair: (pair[0].row, pair[0].col))

    def polygonize(index: int) -> PartRegions:
        part, confidence = pairs[index]
        return polygonize_part(read_part(part)[0], read_part(confidence)[0], part.row, part.col)

    threads = torch.get_num_threads()
    for first in range(0, len(pairs), threads):
        indices = range(first, min(first + threads, len(pairs)))
        delayed = [dask.delayed(polygonize)(index) for index in indices]
        yield from dask.compute(*delayed, scheduler="threads", num_workers=threads)


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """A client of a cluster of worker processes on this machine."""
    from distributed import Client, LocalCluster

    settings = {"distributed.worker.daemon": True, "distributed.admin.log-format": "%(message)s"}
    with (
        dask.config.set(settings),
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
        return [result for _, result in as_completed(futures, with_results=True)]
    except BaseException:
        # An interrupt, or a block that failed: the others end at their next forward.
        client.cancel(futures)
        client.run(_stop, run)
        raise
    finally:
        client.unsubscribe_topic(_TOPIC)


_stopped_runs: set[str] = set()
"""Of a worker process: the runs whose blocks are to end."""


def _stop(run: str) -> None:
    _stopped_runs.add(run)


def _leave_interrupts_to_the_client() -> None:
    """Ctrl-C reaches all processes of a terminal; only the user's own acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
