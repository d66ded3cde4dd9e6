"""What stands of a raster's outputs and what is left to do; looking changes nothing.

A *part key* names the folder of a raster's parts, an *output key* stands in each finished file. Both are made from
all that decides pixels; the part key also from torch's threads, which decide the last bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geoseg.errors import OutputError
from geoseg.files import WORK_FOLDER
from geoseg.inference.keys import key_of, weights_digest
from geoseg.inference.options import PredictOptions
from geoseg.inference.outputs import Output, output_path
from geoseg.inference.parts import PartFolder
from geoseg.inference.plan import RasterPlan
from geoseg.inference.predictor import Options
from geoseg.models import Model
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


@dataclass(frozen=True, slots=True)
class Survey:
    """How far a raster has come."""

    job: Job
    outputs: tuple[Output, ...]
    """All that was asked for, and the picture."""
    missing: tuple[Output, ...]
    """Those of them that do not stand."""
    folder: PartFolder
    blocks: list[Block]
    """Those of the run that began here, else those that the options ask for."""
    batch: int | None
    """Windows per forward, likewise; None where geoseg chooses."""
    resumed: bool
    """Whether parts of an earlier run stand."""
    rows: tuple[tuple[int, ...], ...]
    """Of each block, the lattice rows whose parts are missing; none at all where no output needs parts."""

    @property
    def forwards(self) -> int:
        """Windows that are left to run, those without a valid pixel among them."""
        return sum(
            self._block_forwards(block, rows)
            for block, rows in zip(self.blocks, self.rows, strict=True)
        )

    @staticmethod
    def _block_forwards(block: Block, missing: tuple[int, ...]) -> int:
        bands = dict(block.bands())
        rows = {row for band in missing for row in block.rows_for(bands[band])}
        return len(rows) * len(block.lattice_cols)

    def plan(self) -> RasterPlan:
        """What is left of this raster will take."""
        return RasterPlan.of(
            self.blocks,
            self.job.source,
            self.folder.classes,
            self.folder.probabilities,
            forwards=self.forwards,
        )


class Surveyor:
    """Looks at rasters under one model and one set of options."""

    def __init__(self, model: Model, how: Options, options: PredictOptions, out: Path) -> None:
        self._options = options
        self._classes = len(model.card.classes)
        self.work = out / WORK_FOLDER
        self._out = out
        self.threads = torch.get_num_threads()
        """Torch threads of each process that runs windows."""
        if options.workers:
            self.threads = max(1, self.threads // options.workers)
        self.settings: dict[str, Any] = {
            "version": PIXELS_VERSION,
            # A model may have been changed since it was loaded, and its file too: only the weights in memory count.
            "model": weights_digest(model),
            "nodata": options.nodata,
            "scales": how.scales,
            "flip": how.flip,
            "value_range": how.source_range,
            "precision": how.precision,
            "device": how.device.partition(":")[0],
        }
        """What decides the pixels of all rasters."""

    def survey(self, job: Job) -> Survey:
        """Look at one raster's outputs and parts.

        Raises:
            SourceError: the raster cannot be read.
            OutputError: another file stands in the place of an output, and ``--overwrite`` was not given.
        """
        facts = self._facts(job)
        outputs = self._outputs(job, facts)
        missing = self._missing(outputs)
        folder = self._folder(job, facts)
        wanted = job.grid.blocks(
            self._options.block, classes=self._classes, at_least=2 * self._options.workers
        )
        known = folder.read_plan(job.grid)
        blocks, batch = known or (wanted, self._options.batch_size)
        needs_parts = any(output.kind != "preview" for output in missing)
        rows = tuple(
            tuple(folder.missing(number, block)) if needs_parts else ()
            for number, block in enumerate(blocks)
        )
        return Survey(job, outputs, missing, folder, blocks, batch, known is not None, rows)

    def _facts(self, job: Job) -> dict[str, Any]:
        """All that decides the pixels of a raster, torch's threads aside."""
        return {
            **self.settings,
            "source": source_fingerprint(job.source.path),
            "bands": job.source.bands,
            "crs": str(job.source.crs),
            "window": job.grid.window,
            "overlap": job.grid.overlap,
            "stitch": job.grid.stitch,
        }

    def _outputs(self, job: Job, facts: dict[str, Any]) -> tuple[Output, ...]:
        options = self._options
        decided = {**facts, "min_confidence": options.min_confidence}
        kinds = [("classes", decided), ("preview", decided)]
        kinds += [("confidence", facts)] if options.confidence else []
        kinds += [("probabilities", facts)] if options.probabilities else []
        kinds += [(name, decided) for name in options.vectors]
        return tuple(
            Output(kind, output_path(job.target, kind), key_of({**made_from, "output": kind}))
            for kind, made_from in kinds
        )

    def _missing(self, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
        states = [(output, output.state()) for output in outputs]
        differing = [output.path for output, state in states if state == "differs"]
        if differing and not self._options.overwrite:
            raise OutputError(
                f"{differing[0]} stands there, made from another source, model or options (or not by geoseg); "
                "use --overwrite to replace it, or another --out"
            )
        return tuple(output for output, state in states if state != "stands")

    def _folder(self, job: Job, facts: dict[str, Any]) -> PartFolder:
        options = self._options
        confidence = bool(options.vectors) or options.confidence or options.min_confidence > 0.0
        held = {"confidence": confidence, "probabilities": options.probabilities}
        key = key_of(
            {**facts, **held, "min_confidence": options.min_confidence, "threads": self.threads}
        )
        place = job.target.with_name(f"{job.target.name}-{key}").relative_to(self._out)
        return PartFolder(self.work / place, job.source, self._classes, **held)
