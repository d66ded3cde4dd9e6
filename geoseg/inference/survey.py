"""How far a raster has come: which outputs exist and what is left to run; looking changes nothing.

A survey is made once for each raster, before the first block runs, and passed on. All that looks
at outputs, parts or the source's fingerprint to decide something is here; `execute` does what was
decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from geoseg.errors import OutputError
from geoseg.inference.choice import Choice
from geoseg.inference.keys import output_key, part_key, raster_facts
from geoseg.inference.outputs import RASTERS, Output, output_path
from geoseg.inference.parts import PartFolder
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe
from geoseg.inference.rows_left import cells_left, count_forwards
from geoseg.places import AnyPath, path_below, refuse_folders
from geoseg.raster import Seen, Source, chunk_side, refuse_other_kinds
from geoseg.tiling import Block, TileGrid, Window
from geoseg.vector import FORMATS, Cleaning

if TYPE_CHECKING:
    from geoseg.inference.options import PredictOptions
    from geoseg.inference.run import PredictRun


@dataclass(frozen=True, slots=True)
class RasterJob:
    """One raster that will be predicted."""

    source: Source
    target: AnyPath
    """Output path without suffix; ``_classes.tif`` and the like are added to its name."""
    grid: TileGrid
    seen: Seen
    """The source as it was when it was checked."""
    sheets: tuple[tuple[AnyPath, Window], ...] = ()
    """Of a mosaic whose rasters are written by sheet: the target of each, and what it covers."""

    @property
    def targets(self) -> list[AnyPath]:
        """The output paths without suffixes."""
        return [self.target, *(target for target, _ in self.sheets)]


INDEXED_BYTES = 100
"""Of each polygon of a raster, while a FlatGeobuf file is closed."""
CLEANED_BYTES = 400
"""Of each region of a raster, while it is decided which vanish."""
HELD_BYTES = 2**21
"""Of the parts of a small raster, at most; a few rasters are under way at once."""
BLOCK_SECONDS = 120.0
"""That a block should take of a worker at most: what is lost when that dies."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How far a raster has come."""

    job: RasterJob
    outputs: tuple[Output, ...]
    """All that was asked for."""
    missing: tuple[Output, ...]
    """Those of them that do not exist yet."""
    needs_parts: bool
    """Whether one of these is made from parts; a preview is drawn from the class raster."""
    folder: PartFolder
    blocks: tuple[Block, ...]
    """Those of the run that began here, else those that the options ask for."""
    batch: int | None
    """Windows per forward, likewise; None where geoseg chooses."""
    resumed: bool
    """Whether parts of an earlier run exist."""
    missing_rows: tuple[Sequence[int], ...]
    """Of each block, the lattice rows whose parts are missing; none where no output needs parts."""

    @property
    def forwards(self) -> int:
        """Windows that are left to run, those without a valid pixel among them."""
        return sum(map(count_forwards, self.blocks, self.missing_rows))

    def can_begin_files(self, cleaning: Cleaning) -> bool:
        """Whether files can be begun while parts are yet to come: there are several of these.

        Each file must read all parts, so that none gets its name before the last of them is there.
        """
        cut = any(output.side for output in self.outputs) or self.job.sheets
        whole = not cut and self.job.source.onto is None and cleaning == Cleaning()
        return whole and sum(map(len, self.missing_rows)) > 1

    def can_be_held(self, cleaning: Cleaning) -> bool:
        """Whether its parts need no files, where those of the outputs are made in one process.

        They are few bytes, and of a single band, so that a killed run would leave none of use.
        """
        shown, folder = self.job.source.extent, self.folder
        planes = 1 + folder.confidence + folder.classes * folder.probabilities
        small = planes * shown.height * shown.width <= HELD_BYTES
        single = len(self.blocks) == 1 and len(self.blocks[0].band_rows) == 1
        return small and single and not self.resumed and cleaning == Cleaning()

    def files(self) -> Iterator[AnyPath]:
        """All files of the outputs: also an index, and the squares that it is over."""
        for output in self.outputs:
            yield output.path
            yield from map(output.file, output.areas(self.job.source))

    def cut(
        self, choice: Choice, probe: Probe, block: int | Literal["auto"], windows: int
    ) -> Survey:
        """This raster cut into blocks as chosen; for workers, so many that none idles.

        Of these, blocks take some minutes at most.

        Args:
            choice: what is in memory at once.
            probe: what a window takes.
            block: as the user asks for it.
            windows: that are left to run of all rasters. A small one of many is not cut: the
                others keep workers busy.
        """
        if self.resumed or not self.needs_parts or block != "auto":
            return self  # an earlier run or the user chose its blocks
        grid, extent, classes = self.job.grid, self.job.source.extent, self.folder.classes
        widest = choice.widest or grid.widest_strip(classes, probe.map_bytes)
        if choice.workers:
            most = min(BLOCK_SECONDS / probe.seconds, windows / (2 * choice.workers))
            blocks = grid.small_blocks(max(1, int(most)), area=extent, widest=widest)
        else:
            blocks = grid.blocks(area=extent, widest=widest)
        if tuple(blocks) == self.blocks:
            return self
        missing = self.folder.all_missing_rows(blocks)
        return replace(self, blocks=tuple(blocks), missing_rows=missing)

    def plan(self, choice: Choice, cleaning: Cleaning | None = None) -> RasterPlan:
        """What the rest of this raster will take.

        Args:
            choice: what is in memory at once.
            cleaning: of its polygons.
        """
        cleaning = cleaning or Cleaning()
        kinds = {output.kind for output in self.missing}
        plan = RasterPlan.from_blocks(
            self.blocks,
            self.job.source,
            self.folder.classes,
            self.folder.probabilities,
            forwards=self.forwards,
            cells=[cells_left(*each) for each in zip(self.blocks, self.missing_rows, strict=True)],
            choice=choice,
            confidence="confidence" in kinds,
            polygons=bool(kinds - {*RASTERS, "preview"}),
            region_bytes=region_bytes(kinds, cleaning),
            side=max(output.side for output in self.outputs),
            cell=cleaning.cell,
        )
        return replace(plan, files_begun=self.can_begin_files(cleaning))


def region_bytes(kinds: Collection[str], cleaning: Cleaning) -> tuple[int, int]:
    """What a region takes where all of a raster are held: in a file, and while it is cleaned.

    Args:
        kinds: of files that are written.
        cleaning: of the polygons.
    """
    return INDEXED_BYTES * ("fgb" in kinds), CLEANED_BYTES * (cleaning.min_area is not None)


def survey_raster(run: PredictRun, job: RasterJob) -> Survey:
    """Look at one raster's outputs and at the lists of its parts; no part is opened.

    Raises:
        OutputError: another file is in the place of an output, and ``--overwrite`` was not given;
            or a folder is.
    """
    facts = raster_facts(run.settings, job.source, job.grid, job.seen.fingerprint)
    outputs = _outputs(run.options, job, facts, _kinds(run.options))
    missing = _missing(outputs, overwrite=run.options.overwrite)
    folder = _part_folder(run, job, facts)
    known = folder.read_plan(job.grid)
    blocks, batch = known or (
        job.grid.blocks(run.options.block, classes=folder.classes, area=job.source.extent),
        run.options.batch_size,
    )
    needs_parts = any(output.kind != "preview" for output in missing)
    return Survey(
        job,
        outputs,
        missing,
        needs_parts,
        folder,
        tuple(blocks),
        batch,
        resumed=known is not None,
        missing_rows=folder.all_missing_rows(blocks) if needs_parts else ((),) * len(blocks),
    )


def unasked_kinds(options: PredictOptions) -> list[str]:
    """Of all outputs that a raster can have, those that a run is not asked for."""
    asked = _kinds(options)
    return [kind for kind in (*RASTERS, "preview", *FORMATS) if kind not in asked]


def unasked_outputs(run: PredictRun, job: RasterJob, kinds: Sequence[str]) -> tuple[Output, ...]:
    """What this run would have made of a raster if it had been asked for these kinds."""
    facts = raster_facts(run.settings, job.source, job.grid, job.seen.fingerprint)
    return _outputs(run.options, job, facts, kinds)


def _kinds(options: PredictOptions) -> list[str]:
    """What is asked for of each raster."""
    further = ("preview", "confidence", "probabilities")
    rasters = [kind for kind in further if getattr(options, kind)]
    return ["classes", *rasters, *(() if options.merge else options.vectors)]


def _outputs(
    options: PredictOptions, job: RasterJob, facts: Mapping[str, Any], kinds: Sequence[str]
) -> tuple[Output, ...]:
    shown = job.source.shown
    most = options.max_output_pixels
    whole = [(job.target, None if job.source.area is None else shown)]
    outputs = []
    for kind in kinds:
        cleaned = options.clean_raster and kind in ("classes", "preview")
        cleaning = options.cleaning.facts() if kind in FORMATS else {}
        cleaning |= options.cleaning.facts_of_areas() if cleaned else {}
        for target, window in whole if kind in FORMATS else _shown(job) or whole:
            drawn = window or shown
            large = drawn.height * drawn.width > most and kind in RASTERS
            side = chunk_side(most) if large else 0
            path = output_path(target, kind)
            key = output_key(
                *(facts, kind, options.min_confidence, side, cleaning, window),
                options.attributes if kind in FORMATS else (),
            )
            named = path.with_suffix(".vrt") if side else path
            outputs.append(Output(kind, named, key, side, window, cleaned and kind == "classes"))
    return tuple(outputs)


def _shown(job: RasterJob) -> list[tuple[AnyPath, Window | None]]:
    """What is shown of each sheet; nothing where rasters are not written by sheet."""
    cut = [(target, sheet.intersect(job.source.shown)) for target, sheet in job.sheets]
    return [(target, window) for target, window in cut if window is not None]


def _missing(outputs: tuple[Output, ...], *, overwrite: bool) -> tuple[Output, ...]:
    missing = tuple(output for output in outputs if not output.is_current())
    for each in missing:
        if each.side:
            refuse_other_kinds(each.path)
    # Polygon files of one stem share their styles: those of a file that is kept are geoseg's own.
    kept = {path for each in outputs if each not in missing for path in each.existing()}
    in_the_way = [path for each in missing for path in each.in_the_way() if path not in kept]
    refuse_folders(in_the_way)
    if in_the_way and not overwrite:
        raise OutputError(
            f"{in_the_way[0]} exists, made from another source, model or options "
            "(or not by geoseg); use --overwrite to replace it, or another --out"
        )
    return missing


def _part_folder(run: PredictRun, job: RasterJob, facts: Mapping[str, Any]) -> PartFolder:
    options = run.options
    confidence = bool(options.vectors) or options.confidence or options.min_confidence > 0.0
    key = part_key(
        facts,
        min_confidence=options.min_confidence,
        confidence=confidence,
        probabilities=options.probabilities,
        threads=run.threads,
    )
    folder = path_below(run.out, job.target.with_name(f"{job.target.name}-{key}"))
    return PartFolder(
        run.work / folder,
        key,
        job.source,
        len(run.model.card.classes),
        confidence,
        options.probabilities,
    )
