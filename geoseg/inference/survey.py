"""How far a raster has come: which outputs exist and what is left to run; looking changes nothing.

A survey is made once for each raster, before the first block runs, and passed on. All that looks
at outputs, parts or the source's fingerprint to decide something is here; `execute` does what was
decided.
"""

from __future__ import annotations

import itertools
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
from geoseg.places import AnyPath, path_below
from geoseg.raster import Seen, Source, chunk_side
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


def cells_left(block: Block, missing_rows: Sequence[int]) -> tuple[int, int]:
    """Cells under the windows that touch the missing bands, and the pixels that they see."""
    grid = block.grid
    if grid.cells is None:
        return 0, 0
    rows: set[int] = set()
    for first, last in _runs(missing_rows):
        needed = [block.rows_for(block.band(row)) for row in (first, last)]
        top, bottom = (grid.window_at(row, 0) for row in (needed[0][0], needed[1][-1]))
        rows.update(grid.cells.covering(top.row, bottom.row_end))
    left, right = (grid.window_at(0, block.lattice_cols[end]) for end in (0, -1))
    cols = grid.cells.covering(left.col, right.col_end)
    down = [grid.cells.seen(row, grid.height) for row in rows]
    across = [grid.cells.seen(col, grid.width) for col in cols]
    pixels = sum(end - first for first, end in down) * sum(end - first for first, end in across)
    return len(rows) * len(cols), pixels


def count_forwards(block: Block, missing_rows: Sequence[int]) -> int:
    """Windows that touch the missing bands: a band needs more lattice rows than its own."""
    lattice_rows = counted = 0
    for first, last in _runs(missing_rows):
        top, bottom = block.band(first), block.band(last)
        height = bottom.row_end - top.row
        needed = block.rows_for(Window(top.row, top.col, height, top.width))
        lattice_rows += needed.stop - max(needed.start, counted)
        counted = needed.stop
    return lattice_rows * len(block.lattice_cols)


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of successive numbers; all missing rows are often one."""
    if rows and rows[-1] - rows[0] == len(rows) - 1:
        yield rows[0], rows[-1]
        return
    for _, run in itertools.groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
        numbers = [row for _, row in run]
        yield numbers[0], numbers[-1]


def survey_raster(run: PredictRun, job: RasterJob) -> Survey:
    """Look at one raster's outputs and at the lists of its parts; no part is opened.

    Raises:
        OutputError: another file is in the place of an output, and ``--overwrite`` was not given.
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


def unasked_outputs(run: PredictRun, job: RasterJob) -> tuple[Output, ...]:
    """What this run would have made of a raster if it had been asked for all there is."""
    facts = raster_facts(run.settings, job.source, job.grid, job.seen.fingerprint)
    asked = _kinds(run.options)
    kinds = [kind for kind in (*RASTERS, "preview", *FORMATS) if kind not in asked]
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
    # Polygon files of one stem share their styles: those of a file that is kept are geoseg's own.
    kept = {path for each in outputs if each not in missing for path in each.existing()}
    in_the_way = [path for each in missing for path in each.existing() if path not in kept]
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
