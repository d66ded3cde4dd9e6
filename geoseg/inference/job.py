"""One raster from source to finished files: what stands is kept, what was begun is continued."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rasterio

from geoseg.inference.engine import (
    BlockResult,
    BlockTask,
    local_cluster,
    polygonize_parts,
    run_here,
    run_on_cluster,
)
from geoseg.inference.memory import GDAL_CACHE
from geoseg.inference.options import PredictOptions
from geoseg.inference.outputs import (
    RASTERS,
    count_classes,
    write_picture,
    write_raster,
    write_vectors,
)
from geoseg.inference.predictor import Predictor
from geoseg.inference.survey import Job, Survey, Surveyor
from geoseg.models import Model, write_model
from geoseg.progress import Progress


@dataclass(slots=True)
class JobResult:
    """What became of one raster."""

    status: str = "kept"
    """``done``, or ``kept`` where all outputs stood already."""
    outputs: dict[str, Path] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """What each output was made from, as it stands in the file."""
    windows: int = 0
    """Windows of the lattice."""
    forwards: int = 0
    """Windows run this time."""
    pixels: dict[str, int] = field(default_factory=dict)
    """Pixels of each class."""
    nodata: int = 0
    """Pixels that are not valid."""
    uncertain: int = 0
    """Pixels below the least confidence."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall clock of each stage; ``forward`` is the time inside the network (of all workers together)."""
    worker_memory: int = 0
    """Bytes that a worker process has held at most; 0 where there were none."""


class JobRunner:
    """Runs jobs one after the other with one model; a context manager, for the worker processes it may hold."""

    def __init__(
        self,
        model: Model,
        predictor: Predictor,
        options: PredictOptions,
        surveyor: Surveyor,
        progress: Progress,
    ) -> None:
        self._model = model
        self._predictor = predictor
        self._options = options
        self._surveyor = surveyor
        self._progress = progress
        self._stack = ExitStack()
        self._client: Any = None
        self._model_file: Path | None = None

    def __enter__(self) -> JobRunner:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, job: Job) -> JobResult:
        """Make the outputs of one raster that do not stand yet.

        Raises:
            SourceError: the raster cannot be read to its end.
            OutputError: an output cannot be written, or another file stands in its place.
            ModelError: the network does not fit into memory or gives NaN.
        """
        started = time.perf_counter()
        survey = self._surveyor.survey(job)
        result = JobResult(
            outputs={output.kind: output.path for output in survey.outputs},
            keys={output.kind: output.key for output in survey.outputs},
            windows=len(job.grid),
        )
        if survey.missing:
            result.status = "done"
        if any(output.kind != "preview" for output in survey.missing):
            self._make(survey, result)
        at = time.perf_counter()
        classes = self._model.card.classes
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE):
            for output in survey.missing:
                if output.kind == "preview":
                    write_picture(output, result.outputs["classes"], job.source, classes)
            counts = count_classes(result.outputs["classes"])
        result.pixels = {name: int(counts[index]) for index, name in enumerate(classes.names)}
        result.uncertain, result.nodata = int(counts[254]), int(counts[255])
        result.seconds["files"] = result.seconds.get("files", 0.0) + time.perf_counter() - at
        survey.folder.remove()  # also where nothing was missing: a run that was killed at its very end leaves its parts
        result.seconds["total"] = time.perf_counter() - started
        return result

    def _make(self, survey: Survey, result: JobResult) -> None:
        clock = time.perf_counter
        self._clear_stale(survey)
        if survey.resumed:
            self._tell_resumed(survey)
        else:
            survey.folder.write_plan(survey.blocks, survey.batch, self._predictor.options.precision)
        at = clock()
        parts = self._predict(survey)
        result.forwards = sum(part.forwards for part in parts)
        result.seconds["forward"] = sum(part.forward_seconds for part in parts)
        result.worker_memory = (
            max((part.peak_memory for part in parts), default=0) if self._options.workers else 0
        )
        result.seconds["predict"], at = clock() - at, clock()
        classes, source, folder = self._model.card.classes, survey.job.source, survey.folder
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE):
            for output in survey.missing:
                if output.kind in RASTERS:
                    write_raster(output, folder, survey.blocks, classes)
            result.seconds["files"], at = clock() - at, clock()
            vectors = [output for output in survey.missing if output.kind in self._options.vectors]
            if vectors:
                write_vectors(vectors, polygonize_parts(folder, survey.blocks), source, classes)
                result.seconds["polygons"] = clock() - at

    def _clear_stale(self, survey: Survey) -> None:
        """Parts of runs with other options are named, and removed by ``--overwrite``."""
        own = survey.folder.path
        stale = re.compile(rf"{re.escape(survey.job.target.name)}-[0-9a-f]{{16}}")
        for other in sorted(own.parent.iterdir()) if own.parent.is_dir() else ():
            if other == own or not stale.fullmatch(other.name):
                continue
            if self._options.overwrite:
                shutil.rmtree(other)
            else:
                self._progress.note(
                    f"{other} holds parts of a run with other options; --overwrite removes them, or finish that run"
                )

    def _tell_resumed(self, survey: Survey) -> None:
        bands = sum(1 for block in survey.blocks for _ in block.bands())
        left = sum(len(rows) for rows in survey.rows)
        self._progress.note(
            f"{survey.job.source.path.name}: resuming, {bands - left} of {bands} bands stand; "
            "blocks and batch stay as that run chose them"
        )

    def _predict(self, survey: Survey) -> list[BlockResult]:
        source = survey.job.source
        tasks = [
            BlockTask(number, block, source, survey.folder, self._options.min_confidence)
            for number, block in enumerate(survey.blocks)
        ]
        self._progress.begin(source.path.name, survey.forwards)
        try:
            if not self._options.workers:
                return run_here(
                    tasks, self._predictor.with_batch(survey.batch), self._progress.advance
                )
            if self._client is None:
                self._client = self._stack.enter_context(local_cluster(self._options.workers))
            return run_on_cluster(
                tasks,
                self._client,
                self._saved_model(),
                self._predictor.options,
                batch=survey.batch,
                threads=self._surveyor.threads,
                on_window=self._progress.advance,
            )
        finally:
            self._progress.end()

    def _saved_model(self) -> Path:
        """The model as it is in memory, in a file that worker processes load."""
        if self._model_file is None:
            work, digest = self._surveyor.work, self._surveyor.settings["model"]
            self._model_file = work / f"model-{digest[:16]}.safetensors"
            write_model(self._model.net, self._model.card, self._model_file)
            self._stack.callback(self._model_file.unlink, missing_ok=True)
        return self._model_file
