"""One raster from source to finished files: what stands is kept, what was begun is continued."""

from __future__ import annotations

import glob
import hashlib
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rasterio
import torch

from geoseg.errors import OutputError
from geoseg.inference.engine import (
    GDAL_CACHE,
    BlockResult,
    BlockTask,
    local_cluster,
    polygonize_parts,
    run_here,
    run_on_cluster,
)
from geoseg.inference.options import PredictOptions
from geoseg.inference.outputs import (
    Output,
    count_classes,
    output_path,
    preview_path,
    write_picture,
    write_raster,
    write_vectors,
)
from geoseg.inference.parts import WORK_FOLDER, PartFolder, key_of
from geoseg.inference.plan import RasterPlan
from geoseg.inference.predictor import Predictor
from geoseg.models import Model, write_model
from geoseg.progress import Progress
from geoseg.raster import Source, source_fingerprint
from geoseg.tiling import Block, TileGrid

PIXELS_VERSION = 1
"""Raised when a change of geoseg changes pixels, so that older parts and outputs are not taken for new ones."""


@dataclass(frozen=True, slots=True)
class Job:
    """One raster that will be predicted."""

    source: Source
    target: Path
    """Output path without suffix; ``_classes.tif`` and the like are added to its name."""
    grid: TileGrid

    def blocks(self, classes: int, options: PredictOptions) -> list[Block]:
        """The blocks that the options ask for."""
        return self.grid.blocks(options.block, classes=classes, at_least=2 * options.workers)

    def plan(self, classes: int, options: PredictOptions) -> RasterPlan:
        """What this raster will take."""
        return RasterPlan.of(self.blocks(classes, options), self.source, classes, options.probabilities)


@dataclass(slots=True)
class JobResult:
    """What became of one raster."""

    status: str = "kept"
    """``done``, or ``kept`` where all outputs stood already."""
    outputs: dict[str, Path] = field(default_factory=dict)
    windows: int = 0
    """Windows of the lattice."""
    forwards: int = 0
    """Windows run this time."""
    pixels: dict[str, int] = field(default_factory=dict)
    """Pixels of each class."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall clock of each stage; ``forward`` is the time inside the network (of all workers together)."""
    warnings: list[str] = field(default_factory=list)


class JobRunner:
    """Runs jobs one after the other with one model; a context manager, for the worker processes it may hold."""

    def __init__(self, model: Model, predictor: Predictor, options: PredictOptions, out: Path, progress: Progress):
        self._model = model
        # A model that was made or changed in memory is known by its weights, not by a file that it may once have been.
        self._digest = weights_digest(model) if model.path is None else model.digest
        self._predictor = predictor
        self._options = options
        self._work = out / WORK_FOLDER
        self._progress = progress
        self._threads = torch.get_num_threads()
        if options.workers:
            self._threads = max(1, self._threads // options.workers)
        self._stack = ExitStack()
        self._client: Any = None
        self._model_file = model.path

    def __enter__(self) -> JobRunner:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
        if self._work.is_dir() and not any(self._work.iterdir()):
            self._work.rmdir()

    def run(self, job: Job) -> JobResult:
        """Make the outputs of one raster that do not stand yet.

        Raises:
            SourceError: the raster cannot be read to its end.
            OutputError: an output cannot be written, or another file stands in its place.
            ModelError: the network does not fit into memory or gives NaN.
        """
        started = time.perf_counter()
        facts = self._facts(job)
        outputs = self._outputs(job, facts)
        result = JobResult(outputs={output.kind: output.path for output in outputs}, windows=len(job.grid))
        result.outputs["preview"] = preview_path(job.target)
        missing = self._missing(outputs)
        if missing:
            result.status = "done"
            self._make(job, facts, missing, result)
        else:
            self._folder(job, facts).remove()  # a run that was killed at its very end leaves its parts
            if not result.outputs["preview"].exists():
                write_picture(job.target, job.source, self._model.card.classes)
        result.seconds["total"] = time.perf_counter() - started
        return result

    def _facts(self, job: Job) -> dict[str, Any]:
        """All that decides the pixels of a raster, torch's threads aside."""
        how = self._predictor.options
        return {
            "version": PIXELS_VERSION,
            "source": source_fingerprint(job.source.path),
            "bands": job.source.bands,
            "nodata": self._options.nodata,
            "crs": str(job.source.crs),
            "model": self._digest,
            "window": job.grid.window,
            "overlap": job.grid.overlap,
            "stitch": job.grid.stitch,
            "scales": how.scales,
            "flip": how.flip,
            "value_range": how.source_range,
            "precision": how.precision,
            "device": how.device.partition(":")[0],
        }

    def _outputs(self, job: Job, facts: dict[str, Any]) -> list[Output]:
        options = self._options
        decided = {**facts, "min_confidence": options.min_confidence}
        kinds = [("classes", decided)]
        kinds += [("confidence", facts)] if options.confidence else []
        kinds += [("probabilities", facts)] if options.probabilities else []
        kinds += [(name, decided) for name in options.vectors]
        return [
            Output(kind, output_path(job.target, kind), key_of({**made_from, "output": kind}))
            for kind, made_from in kinds
        ]

    def _missing(self, outputs: list[Output]) -> list[Output]:
        """The outputs to make.

        Raises:
            OutputError: a file of other origin stands in the place of one, and ``--overwrite`` was not given.
        """
        states = [(output, output.state()) for output in outputs]
        differing = [output.path for output, state in states if state == "differs"]
        if differing and not self._options.overwrite:
            raise OutputError(
                f"{differing[0]} stands there, made from another source, model or options (or not by geoseg); "
                "use --overwrite to replace it, or another --out"
            )
        return [output for output, state in states if state != "stands"]

    def _make(self, job: Job, facts: dict[str, Any], missing: list[Output], result: JobResult) -> None:
        clock = time.perf_counter
        folder = self._folder(job, facts)
        self._clear_stale(job, folder)
        wanted_blocks = job.blocks(self._predictor.classes, self._options)
        blocks, batch, resumed = folder.keep_plan(wanted_blocks, self._options.batch_size)
        if resumed:
            self._tell_resumed(job, folder, blocks)
        at = clock()
        parts = self._predict(job, folder, blocks, batch)
        result.forwards = sum(part.forwards for part in parts)
        result.seconds["forward"] = sum(part.forward_seconds for part in parts)
        result.seconds["predict"], at = clock() - at, clock()
        classes = self._model.card.classes
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE):
            for output in missing:
                if output.kind in ("classes", "confidence", "probabilities"):
                    write_raster(output, folder, blocks, classes)
            write_picture(job.target, job.source, classes)
            result.pixels = count_classes(folder.parts(blocks, "classes"), classes.names)
            result.seconds["files"], at = clock() - at, clock()
            vectors = [output for output in missing if output.kind in self._options.vectors]
            if vectors:
                write_vectors(vectors, polygonize_parts(folder, blocks), job.source, classes)
                result.seconds["polygons"] = clock() - at
        folder.remove()

    def _folder(self, job: Job, facts: dict[str, Any]) -> PartFolder:
        options = self._options
        confidence = bool(options.vectors) or options.confidence or options.min_confidence > 0.0
        held = {"confidence": confidence, "probabilities": options.probabilities}
        key = key_of({**facts, **held, "min_confidence": options.min_confidence, "threads": self._threads})
        name = f"{self._flat_name(job)}-{key}"
        return PartFolder(self._work / name, job.source, self._predictor.classes, **held)

    def _flat_name(self, job: Job) -> str:
        """The job's place below the output folder, as one folder name."""
        return "__".join(job.target.relative_to(self._work.parent).parts)

    def _clear_stale(self, job: Job, folder: PartFolder) -> None:
        """Parts of runs with other options are named, and removed by ``--overwrite``."""
        for other in sorted(self._work.glob(f"{glob.escape(self._flat_name(job))}-????????????????")):
            if other == folder.path:
                continue
            if self._options.overwrite:
                shutil.rmtree(other)
            else:
                self._progress.note(
                    f"{other} holds parts of a run with other options; --overwrite removes them, or finish that run"
                )

    def _tell_resumed(self, job: Job, folder: PartFolder, blocks: list[Block]) -> None:
        bands = sum(1 for block in blocks for _ in block.bands())
        left = sum(len(folder.missing(number, block)) for number, block in enumerate(blocks))
        self._progress.note(
            f"{job.source.path.name}: resuming, {bands - left} of {bands} bands stand; "
            "blocks and batch stay as that run chose them"
        )

    def _predict(self, job: Job, folder: PartFolder, blocks: list[Block], batch: int | None) -> list[BlockResult]:
        tasks = [
            BlockTask(number, block, job.source, folder, self._options.min_confidence)
            for number, block in enumerate(blocks)
        ]
        windows = sum(len(block.lattice_rows) * len(block.lattice_cols) for block in blocks)
        self._progress.begin(job.source.path.name, windows)
        try:
            if not self._options.workers:
                predictor = Predictor(self._model, self._predictor.options, batch)
                return run_here(tasks, predictor, self._progress.advance)
            if self._client is None:
                self._client = self._stack.enter_context(local_cluster(self._options.workers))
            return run_on_cluster(
                tasks,
                self._client,
                self._saved_model(),
                self._predictor.options,
                batch=batch,
                threads=self._threads,
                on_window=self._progress.advance,
            )
        finally:
            self._progress.end()

    def _saved_model(self) -> Path:
        """The model as a file, which worker processes load."""
        if self._model_file is None:
            self._work.mkdir(exist_ok=True)
            self._model_file = self._work / f"model-{self._digest[:16]}.safetensors"
            write_model(self._model.net, self._model.card, self._model_file)
            self._stack.callback(self._model_file.unlink, missing_ok=True)
        return self._model_file


def weights_digest(model: Model) -> str:
    """Hexadecimal digest of a model's card and weights as they are now."""
    digest = hashlib.sha256(model.card.to_json().encode())
    for name, tensor in sorted(model.net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
