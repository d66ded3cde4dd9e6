"""One block as a task: run the windows that touch its missing rows, write their bands as parts.

A task is idempotent: it can be run again, elsewhere, or twice at once; what it leaves is the same.

    reader thread -> forward, stitch (the calling thread) -> writer thread -> parts
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import rasterio

from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import Predictor
from geoseg.inference.probe import peak_memory
from geoseg.inference.stitching import Band
from geoseg.inference.stream import stream_block
from geoseg.raster import GDAL_CACHE_BYTES
from geoseg.tiling import Block


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
    """Bytes that the process has held at most so far."""


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
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), closing(bands), _writer(task) as write:
        for lattice_row, band in bands:
            write(lattice_row, band)
    return BlockResult(predictor.forwards - forwards, predictor.seconds - seconds, peak_memory())


@contextmanager
def _writer(task: BlockTask) -> Iterator[Callable[[int, Band], None]]:
    """A function that hands a band to the writer thread; on leaving, all of them are written."""
    waiting: queue.Queue[tuple[int, Band] | None] = queue.Queue(maxsize=1)
    failed: list[BaseException] = []

    def work() -> None:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            while (item := waiting.get()) is not None:
                if failed:
                    continue  # keep emptying the queue, or the calling thread waits for ever
                try:
                    task.folder.write(task.number, *item)
                except BaseException as error:  # raised in the calling thread
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
