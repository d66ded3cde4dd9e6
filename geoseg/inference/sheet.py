"""One raster as a story of tasks: what its survey found missing is made, nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import PartError
from geoseg.inference import engine
from geoseg.inference.area_table import ClassAreas
from geoseg.inference.class_areas import tell_areas
from geoseg.inference.cleaned_parts import cleaning_stages
from geoseg.inference.coming import Coming
from geoseg.inference.engine import BlockResult, Sheet
from geoseg.inference.outputs import RASTERS, Output
from geoseg.inference.polygons import polygon_stages
from geoseg.inference.run_facts import RunFacts
from geoseg.inference.small_rasters import is_small, tell_apart, tell_together
from geoseg.inference.stories import Stage, Story, Task
from geoseg.inference.survey import Survey
from geoseg.places import folders_in, remove_tree
from geoseg.progress import Progress
from geoseg.raster import ChangedSourceError
from geoseg.tiling import Block


@dataclass(slots=True)
class RasterResult:
    """What a raster took; filled in as its story is told."""

    forwards: int = 0
    """Windows run this time."""
    cells: int = 0
    """Cells encoded this time, where windows share."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """Pixels of each code 0..255 of the class raster."""
    areas: list[ClassAreas] = field(default_factory=list)
    """Of each class raster."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall clock from the first to the last task of each stage, of which other rasters' tasks may
    take a part; ``forward`` is the time inside the network and ``polygons`` that of all tasks that
    make them, of all processes."""
    process_memory: int = 0
    """Peak memory of the processes that ran its blocks, bytes: of the largest."""


def tell_raster(
    run: RunFacts,
    survey: Survey,
    progress: Progress,
    result: RasterResult,
    *,
    beside: bool = False,
) -> Story:
    """Make the missing outputs of one raster.

    Args:
        run: of the raster.
        survey: what is missing.
        progress: is told what is resumed.
        result: gets what it took.
        beside: begin its files while the network still runs for it, where they can be: in threads
            of this process that make files of no other raster.

    Raises:
        SourceError: the raster cannot be read to its end, or has changed since it was surveyed.
        OutputError: an output cannot be written.
        ModelError: the network does not fit into memory or gives NaN.
    """
    clock = _Clock(result.seconds)
    options = run.options
    if not run.processes and survey.can_be_held(options.cleaning):
        survey = replace(survey, folder=replace(survey.folder, held={}))
    sheet = Sheet(
        *(survey.folder, survey.job.grid, options.min_confidence, survey.batch),
        *(options.cleaning, options.attributes),
        *(() if run.choice is None else (run.choice.area,)),
    )
    coming: Coming | None = None
    if survey.needs_parts:
        _clear_stale(run, survey, progress)
        _begin_parts(run, survey, progress)
        if beside and survey.can_begin_files(options.cleaning):
            coming = Coming(survey.blocks, survey.missing_rows, partial(_before_files, survey))
        else:
            yield from _run_blocks(survey, sheet, survey.missing_rows, result)
            clock.end("predict")
    try:
        if coming is None:
            _before_files(survey)
        yield from _tell_files(run, survey, sheet, progress, result, coming)
    except ChangedSourceError:
        # Some parts may show the old pixels and some the new ones, all under the old source's key:
        # if the old file came back, they would be taken for valid.
        survey.folder.remove()
        raise
    finally:
        if coming is not None:
            coming.end(KeyboardInterrupt())
            clock.end("predict", coming.ended)
    # Also where nothing was missing: a run that was killed at its end leaves its parts.
    survey.folder.remove()
    clock.end("files")
    clock.end_all()


def _before_files(survey: Survey) -> None:
    """Refuse to make files of a source that was replaced while its blocks ran; clear their places.

    Raises:
        ChangedSourceError: it was.
        OutputError: a file cannot be removed.
    """
    if survey.missing:
        survey.job.seen.refuse_changed("predicted")
        for output in survey.missing:
            output.remove_stale()


def _tell_files(
    run: RunFacts,
    survey: Survey,
    plain: Sheet,
    progress: Progress,
    result: RasterResult,
    coming: Coming | None,
) -> Story:
    """Make the missing files from the parts, some of which may be yet to come."""
    sheet = replace(plain, folder=replace(plain.folder, coming=coming))
    classes = [output for output in survey.outputs if output.kind == "classes"]
    vectors = [output for output in survey.missing if output.kind in run.options.vectors]
    # In the order in which their pixels are counted.
    counted = sorted(classes, key=lambda output: output in survey.missing)
    needs_cleaning = vectors or any(each.cleaned and each in survey.missing for each in classes)
    cleaning = cleaning_stages(sheet, survey.blocks) if needs_cleaning else []
    polygons, *later = polygon_stages(sheet, survey.blocks, vectors) or [[]]
    rasters, previews = list(_raster_tasks(survey, sheet, classes)), _previews(survey, sheet)
    tasks, together = [*rasters, *polygons], bool(run.processes) and is_small(survey)
    if together:
        tasks, previews = [*tasks, *previews], []
    tell = partial(tell_together, sheet) if together else tell_apart
    took: list[float | None] = []
    try:
        if coming is None:
            results = yield from tell([*cleaning, tasks], took)
        else:
            blocks = list(_block_tasks(survey.blocks, survey.missing_rows, sheet))
            results = (yield coming.stage(blocks, tasks))[len(blocks) :]
    except PartError as error:  # lists of parts are believed; who reads a part verifies it
        progress.note(f"{error.path}: is missing or damaged by now; its block runs again")
        yield from _mend_parts(survey, plain, result)
        if coming is not None:
            coming.forget()
        results = yield from tell([*cleaning, tasks], took)
    finally:
        if coming is not None:
            _count(coming.written, result)
    files = [number for number, each in enumerate(counted) for _ in each.areas(survey.job.source)]
    counts = [np.zeros(256, np.int64) for _ in counted]
    for number, found in zip(files, results, strict=False):
        counts[number] += found
    result.counts = np.sum(counts, axis=0)
    squares = [output for output in survey.missing if output.side]
    yield Stage("files", [Task(engine.make_index, (sheet, output)) for output in squares])
    took += results[len(rasters) :]
    result.areas = yield from tell_areas(sheet, counted, counts, run.zones)
    for tasks in [[*previews, *(later[0] if later else [])], *later[1:]]:
        took += yield Stage("files", tasks)
    if vectors:
        result.seconds["polygons"] = sum(seconds for seconds in took if seconds is not None)


class _Clock:
    """Wall clock of stages, one after the other."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._started = self._before = time.perf_counter()

    def end(self, stage: str, now: float | None = None) -> None:
        now = time.perf_counter() if now is None else now
        self._seconds[stage] = now - self._before
        self._before = now

    def end_all(self) -> None:
        self._seconds["total"] = time.perf_counter() - self._started


def _mend_parts(survey: Survey, sheet: Sheet, result: RasterResult) -> Story:
    """Make all parts of a raster anew that are damaged or gone."""
    numbered = enumerate(survey.blocks)
    yield Stage(
        "files",
        (Task(engine.verify_block, (sheet, number, block.area)) for number, block in numbered),
    )
    missing = survey.folder.all_missing_rows(survey.blocks)
    yield from _run_blocks(survey, sheet, missing, result)
    _before_files(survey)


def _run_blocks(
    survey: Survey, sheet: Sheet, missing_rows: Sequence[Sequence[int]], result: RasterResult
) -> Story:
    """Write the missing parts; lattice rows of each block are given."""
    tasks = _block_tasks(survey.blocks, missing_rows, sheet)
    _count((yield Stage("forward", tasks)), result)


def _count(blocks: Sequence[BlockResult], result: RasterResult) -> None:
    """Add what blocks took."""
    result.forwards += sum(block.forwards for block in blocks)
    result.cells += sum(block.cells for block in blocks)
    seconds = sum(block.forward_seconds for block in blocks)
    result.seconds["forward"] = result.seconds.get("forward", 0.0) + seconds
    memory = max((block.peak_memory for block in blocks), default=0)
    result.process_memory = max(result.process_memory, memory)


def _block_tasks(
    blocks: Sequence[Block], missing_rows: Sequence[Sequence[int]], sheet: Sheet
) -> Iterator[Task]:
    for number, (block, rows) in enumerate(zip(blocks, missing_rows, strict=True)):
        if rows:
            missing = engine.pack_rows(rows, block)
            yield Task(engine.predict_block, (sheet, number, block.area, missing))


def _raster_tasks(survey: Survey, sheet: Sheet, classes: Sequence[Output]) -> Iterator[Task]:
    """The files of the class rasters come first, or the counts of those that are there."""
    source = survey.job.source
    missing = set(survey.missing)
    for output in classes:
        if output not in missing:
            for area in output.areas(source):
                yield Task(engine.count_raster, (output.file(area),))
    for output in survey.missing:
        if output.kind in RASTERS:
            for area in output.areas(source):
                yield Task(engine.make_raster, (sheet, output, area))


def _previews(survey: Survey, sheet: Sheet) -> list[Task]:
    """Each draws the class raster that shows the same."""
    drawn = {output.shown: output for output in survey.outputs if output.kind == "classes"}
    return [
        Task(engine.make_preview, (sheet, output, drawn[output.shown]))
        for output in survey.missing
        if output.kind == "preview"
    ]


def _begin_parts(run: RunFacts, survey: Survey, progress: Progress) -> None:
    if survey.resumed:
        progress.note(_resuming(survey))
    else:
        survey.folder.write_plan(survey.blocks, survey.batch, run.precision)


def _clear_stale(run: RunFacts, survey: Survey, progress: Progress) -> None:
    """Name the parts of runs with other options; ``--overwrite`` removes them."""
    own = survey.folder.path
    stale = re.compile(rf"{re.escape(survey.job.target.name)}-[0-9a-f]{{16}}")
    for other in folders_in(own.parent):
        if other == own or not stale.fullmatch(other.name):
            continue
        if run.options.overwrite:
            remove_tree(other)
        else:
            progress.note(
                f"{other} holds parts of a run with other options; "
                "--overwrite removes them, or finish that run"
            )


def _resuming(survey: Survey) -> str:
    bands = sum(1 for block in survey.blocks for _ in block.bands())
    left = sum(len(rows) for rows in survey.missing_rows)
    return (
        f"{survey.job.source.path.name}: resuming, {bands - left} of {bands} bands exist; "
        "blocks and batch stay as that run chose them"
    )
