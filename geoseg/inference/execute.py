"""Surveyed rasters become finished files: what a survey found missing is made, nothing else."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.inference.engine import (
    BlockResult,
    BlockTask,
    polygonize_parts,
    run_here,
    run_on_workers,
)
from geoseg.inference.outputs import RASTERS, count_classes, write_raster, write_vectors
from geoseg.inference.run import PredictRun
from geoseg.inference.survey import Survey
from geoseg.models import write_model
from geoseg.progress import Progress
from geoseg.raster import GDAL_CACHE_BYTES, source_fingerprint, write_preview


@dataclass(frozen=True, slots=True)
class RasterResult:
    """What a raster took."""

    forwards: int
    """Windows run this time."""
    counts: NDArray[np.int64]
    """Pixels of each code 0..255 of the class raster."""
    seconds: dict[str, float]
    """Wall clock of each stage; ``forward`` is the time inside the network, of all workers."""
    worker_memory: int
    """Peak memory of a worker process, bytes; 0 without workers."""


class Executor(ExitStack):
    """Runs surveyed rasters one by one; on leaving, it ends the workers that it has started."""

    def __init__(self, run: PredictRun, progress: Progress) -> None:
        super().__init__()
        self._run = run
        self._progress = progress

    def execute(self, survey: Survey) -> RasterResult:
        """Make the missing outputs of one raster.

        Raises:
            SourceError: the raster cannot be read to its end, or has changed since it was surveyed.
            OutputError: an output cannot be written.
            ModelError: the network does not fit into memory or gives NaN.
        """
        seconds: dict[str, float] = {}
        blocks: list[BlockResult] = []
        with _timed(seconds, "total"):
            if survey.needs_parts:
                self._clear_stale(survey)
                with _timed(seconds, "predict"):
                    blocks = self._run_blocks(survey)
                seconds["forward"] = sum(block.forward_seconds for block in blocks)
            if survey.missing:
                _refuse_changed_source(survey)
            with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
                counts = self._write_outputs(survey, seconds)
            # Also where nothing was missing: a run that was killed at its end leaves its parts.
            survey.folder.remove()
        memory = max((block.peak_memory for block in blocks), default=0)
        return RasterResult(
            forwards=sum(block.forwards for block in blocks),
            counts=counts,
            seconds=seconds,
            worker_memory=memory if self._run.options.workers else 0,
        )

    def _write_outputs(self, survey: Survey, seconds: dict[str, float]) -> NDArray[np.int64]:
        """Write what is missing; pixels of each code of the class raster."""
        classes, source = self._run.model.card.classes, survey.job.source
        with _timed(seconds, "files"):
            for output in survey.missing:
                if output.kind in RASTERS:
                    write_raster(output, survey.folder, survey.blocks, classes)
        vectors = [output for output in survey.missing if output.kind in self._run.options.vectors]
        if vectors:
            with _timed(seconds, "polygons"):
                pieces = polygonize_parts(survey.folder, survey.blocks)
                write_vectors(vectors, pieces, source, classes)
        paths = {output.kind: output.path for output in survey.outputs}
        with _timed(seconds, "files"):
            for output in survey.missing:
                if output.kind == "preview":
                    write_preview(
                        paths["classes"],
                        output.path,
                        classes=classes,
                        fingerprint=output.key,
                        source=source,
                    )
            return count_classes(paths["classes"])

    def _clear_stale(self, survey: Survey) -> None:
        """Name the parts of runs with other options; ``--overwrite`` removes them."""
        own = survey.folder.path
        stale = re.compile(rf"{re.escape(survey.job.target.name)}-[0-9a-f]{{16}}")
        for other in sorted(own.parent.iterdir()) if own.parent.is_dir() else ():
            if other == own or not stale.fullmatch(other.name):
                continue
            if self._run.options.overwrite:
                shutil.rmtree(other)
            else:
                self._progress.note(
                    f"{other} holds parts of a run with other options; "
                    "--overwrite removes them, or finish that run"
                )

    def _run_blocks(self, survey: Survey) -> list[BlockResult]:
        run, name = self._run, survey.job.source.path.name
        tasks = [
            BlockTask(number, block, rows, survey.folder, run.options.min_confidence)
            for number, (block, rows) in enumerate(
                zip(survey.blocks, survey.missing_rows, strict=True)
            )
            if rows
        ]
        if survey.resumed:
            self._progress.note(_resuming(survey))
        else:
            survey.folder.write_plan(survey.blocks, survey.batch, run.predictor.options.precision)
        self._progress.begin(name, survey.forwards)
        try:
            if not run.options.workers or not tasks:
                predictor = run.predictor.with_batch(survey.batch)
                return run_here(tasks, predictor, self._progress.advance)
            client, model = self._workers
            return run_on_workers(
                tasks,
                client,
                model,
                run.predictor.options,
                batch=survey.batch,
                threads=run.threads,
                on_window=self._progress.advance,
            )
        finally:
            self._progress.end()

    @cached_property
    def _workers(self) -> tuple[Any, Path]:
        """A client of the worker processes, and the file from which they load the model.

        The file holds the model as it is in memory, which may differ from the one it came from.
        """
        from geoseg.inference.cluster import local_cluster

        run = self._run
        file = run.work / f"model-{run.settings['model'][:16]}.safetensors"
        self.callback(file.unlink, missing_ok=True)
        write_model(run.model.net, run.model.card, file)
        return self.enter_context(local_cluster(run.options.workers)), file


def _refuse_changed_source(survey: Survey) -> None:
    """Refuse to make files of a source that was replaced while its blocks ran.

    Some parts may show the old pixels and some the new ones, all under the old source's key. So
    they are removed: if the old file came back, they would be taken for valid.
    """
    path = survey.job.source.path
    if source_fingerprint(path) != survey.fingerprint:
        survey.folder.remove()
        raise SourceError(
            f"{path}: changed while it was predicted; leave it alone and run the command again"
        )


def _resuming(survey: Survey) -> str:
    bands = sum(1 for block in survey.blocks for _ in block.bands())
    left = sum(len(rows) for rows in survey.missing_rows)
    return (
        f"{survey.job.source.path.name}: resuming, {bands - left} of {bands} bands exist; "
        "blocks and batch stay as that run chose them"
    )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the block's wall clock to a stage, also when it fails."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - started
