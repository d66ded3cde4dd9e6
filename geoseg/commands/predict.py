"""Class rasters, polygons and a report of a folder of orthophotos.

The story: read the model's card; open every source and check it against the card; load the model;
survey what exists and plan the rest; run each raster to its files. What fails is named and the
others continue; what is done is kept; what was started is continued.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import ConfigError, RunError, SchedulerLostError, SheetError
from geoseg.failures import begun, failure_line, per_input
from geoseg.files import sweep
from geoseg.foreign import with_buckets
from geoseg.given import given_path, given_paths
from geoseg.inference.budget import Budget, fit_memory
from geoseg.inference.choice import Choice
from geoseg.inference.duration import quicker_by_workers
from geoseg.inference.external_options import bound_options
from geoseg.inference.fork_server import fork_server
from geoseg.inference.further_files import refuse_further, refuse_of_inputs, write_further
from geoseg.inference.imports import import_ahead, worker_modules
from geoseg.inference.jobs import find_jobs
from geoseg.inference.leftovers import remove_leftovers
from geoseg.inference.mosaics import survey_without
from geoseg.inference.options import MOST_PREVIEWS, PredictOptions
from geoseg.inference.outputs import output_folders
from geoseg.inference.results import PredictReport
from geoseg.inference.run_report import REPORT, STREAM, RunReport
from geoseg.inference.survey import RasterJob, Survey, survey_raster
from geoseg.lazy import uncollected
from geoseg.locks import lock_folder
from geoseg.models.cardfile import card_of
from geoseg.places import AnyPath, any_path
from geoseg.prefetch import look_ahead
from geoseg.progress import Progress
from geoseg.raster.stored import remove_sources
from geoseg.remote import RemotePath, source_path
from geoseg.report import counted
from geoseg.stores import StorePath

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun
    from geoseg.inference.stories import Story
    from geoseg.models import Card, Model

_ASKED_FOLDERS = 50
"""Of the inputs, into which each worker of a cluster must see."""
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@with_buckets
def run(
    sources: Paths,
    model: str | os.PathLike[str] | Model,
    out: str | os.PathLike[str] = "results",
    *,
    progress: Progress | None = None,
    **options: Any,
) -> PredictReport:
    """Predict rasters with a model.

    Args:
        sources: files or folders of orthophotos; files on servers too (``https://``, ``s3://``,
            ``gs://``, ``az://``), or in archives (``/vsizip/ARCHIVE.zip/FILE``).
        model: a model file, or a loaded model.
        out: folder for the outputs, on this machine or in a bucket (``s3://BUCKET/FOLDER``).
        progress: receives plan and progress; by default a bar in notebooks and terminals
            (``geoseg.progress.Progress()`` shows none).
        options: the options of ``geoseg predict`` with underscores; see `PredictOptions`. With
            ``workers`` a script needs ``if __name__ == "__main__":`` around the call, as worker
            processes import the script.

    Returns:
        What was done, with the outputs of each input; also written to ``out/report.json``.
        Its `exit_code` is 1 where some inputs failed.

    Raises:
        ConfigError: an option is wrong, or no input can be used; nothing was started.
        ModelError: the model file is wrong.
        OutputError: the output folder cannot be written, another run writes into it, or the disk
            has no room; nothing was started. A disk that fills up later, or a lost device, ends the
            run with a report of what was not done.
        SchedulerLostError: the cluster is gone; the same call continues.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    chosen = PredictOptions.from_keywords(**options)
    place = any_path(given_path("out", out))
    if chosen.scheduler is not None:  # workers may have been started in another folder
        sources, place = [each.absolute() for each in _paths(sources)], place.absolute()
    if isinstance(place, StorePath):
        place.refuse_unusable()
    card = card_of(model, chosen.card)
    chosen = bound_options(chosen, card)
    chosen.sharing(card)  # what cannot be shared is refused once, not for each input
    refuse_further(place, chosen)
    chosen.cleaning.refuse_unknown(card.classes.names)
    report = RunReport(chosen, started)
    with ExitStack() as stack:
        if chosen.workers and not chosen.dry_run and chosen.device in ("auto", "cpu"):
            stack.enter_context(fork_server(worker_modules(card, chosen)))
        with uncollected():  # all that is found stays, and no cycle is left
            jobs = find_jobs(_paths(sources), card, chosen, place, report)
        refuse_of_inputs(jobs, place, chosen)
        # What can be refused without torch, which takes seconds to import, is refused by now.
        filled = chosen.for_inputs(len(jobs))
        if chosen.preview is None and not filled.preview:
            progress.note(f"no previews of more than {MOST_PREVIEWS} inputs; --preview draws them")
        predict_run = _load(model, card, filled, place, jobs, report, stack)
        if chosen.dry_run:
            _announce_plan(_survey_all(jobs, predict_run, report), predict_run, report, progress)
        else:
            _run_all(jobs, predict_run, report, progress)
    return report.to_report()


def _run_all(
    jobs: Sequence[RasterJob], predict_run: PredictRun, report: RunReport, progress: Progress
) -> None:
    with lock_folder(predict_run.out) as refuse_lost:
        _sweep(jobs)
        for line in remove_leftovers(predict_run.out, predict_run.work):
            progress.note(line)
        work = predict_run.work
        jobs = [replace(job, source=job.source.stored_in(work)) for job in jobs]
        surveyed = _survey_all(jobs, predict_run, report)
        surveys, choice = _announce_plan(surveyed, predict_run, report, progress)
        chosen = predict_run.planned(choice)
        try:
            with report.streaming(predict_run.work / STREAM), begun():
                _make(surveys, chosen, report, progress, refuse_lost)
        except SchedulerLostError:  # an interrupted run, not a failed one
            raise
        except RunError as error:
            report.stop(error)
        finally:
            with report.noting_failures():  # not in the place of what was wrong before
                if predict_run.processes:  # those that died or froze have left unfinished files
                    _sweep(jobs, {path.name for survey in surveys for path in survey.files()})
                remove_sources(work)
            with begun():
                refuse_lost()  # else it would be another run's report
                write_further(predict_run, report, progress.note)
                report.write(predict_run.out / REPORT)


def _sweep(jobs: Sequence[RasterJob], abandoned: Collection[str] = ()) -> None:
    for folder in output_folders([target for job in jobs for target in job.targets]):
        sweep(folder, abandoned)


def _paths(sources: Paths) -> list[Path]:
    if hasattr(sources, "shape"):
        raise ConfigError("sources are an array; geoseg.predict_array gives the labels of one")
    return [source_path(path) for path in given_paths("sources", sources)]


def _load(
    model: str | os.PathLike[str] | Model,
    card: Card,
    options: PredictOptions,
    out: AnyPath,
    jobs: Sequence[RasterJob],
    report: RunReport,
    stack: ExitStack,
) -> PredictRun:
    """The model on its device, or for a cluster that is left with `stack`.

    Importing torch and other libraries counts nowhere.
    """
    before = time.perf_counter()
    with uncollected():
        from geoseg.inference.run import PredictRun
        from geoseg.models import load_model
    import_ahead(card, options)
    imports = time.perf_counter() - before
    owned = isinstance(model, str | os.PathLike)
    loaded = load_model(model, options.card) if isinstance(model, str | os.PathLike) else model
    cluster = None
    if options.scheduler is not None:
        from geoseg.inference.cluster import join_cluster

        # One of each folder: what a worker cannot see is mostly a whole disk.
        files = [file for job in jobs for file in job.source.files]
        folders = {file.parent: file for file in files if not isinstance(file, RemotePath)}
        few = list(folders.values())[:_ASKED_FOLDERS]
        cluster = stack.enter_context(join_cluster(options, out, few))
    run = PredictRun.from_options(loaded, options, out, cluster, owned=owned)
    report.begin(run, imports)
    return run


def _survey_all(jobs: Sequence[RasterJob], run: PredictRun, report: RunReport) -> list[Survey]:
    """The progress of each raster; one that cannot be surveyed is noted as failed."""
    surveys = []
    looks = look_ahead(partial(survey_raster, run), jobs)
    with uncollected():
        for job, survey in zip(jobs, looks, strict=True):
            with per_input(job.source.path, partial(report.fail, job)):
                surveys.append(survey.result())
    return surveys


def _announce_plan(
    surveys: Sequence[Survey], run: PredictRun, report: RunReport, progress: Progress
) -> tuple[list[Survey], Choice]:
    """Print the plan of what is left, and keep its numbers for the report.

    Returns:
        The surveys, cut into blocks that fit into memory, and what is in memory at once.

    Raises:
        ConfigError: they cannot be run in so much memory.
        OutputError: the disk has less room than the outputs will surely take.
    """
    left = [survey for survey in surveys if survey.forwards]
    if not left:
        progress.note("plan: no window is left to run")
        return list(surveys), Choice(run.file_threads, run.processes)
    largest = max(left, key=_window_pixels)
    forwards = sum(survey.forwards for survey in left)
    probe = run.probe(largest.job.source, largest.job.grid, forwards, progress.note)
    budget = Budget.of(run)
    merged = surveys if run.options.merge else ()
    choice, first, cut, total, memory, seconds = fit_memory(left, run, probe, budget, merged)
    report.plan = total.to_json(probe, seconds, memory) | budget.to_json(choice)
    of_plan = total.lines(probe, seconds, memory, budget.of_all, len(left))
    advice = (
        quicker_by_workers(total, probe, choice, len(left)) if run.forward.device == "cpu" else []
    )
    for line in (*of_plan, *run.forward.lines, *choice.lines(budget.of_all, first), *advice):
        progress.note(line)
    total.refuse_full_disk(run.out)
    fitted = {survey.job.source.path: survey for survey in cut}
    return [fitted.get(survey.job.source.path, survey) for survey in surveys], choice


def _window_pixels(survey: Survey) -> int:
    window = survey.job.grid.window_at(0, 0)
    return window.height * window.width


def _make(
    surveys: Sequence[Survey],
    run: PredictRun,
    report: RunReport,
    progress: Progress,
    refuse_lost: Callable[[], None],
) -> None:
    """Make what is missing of all rasters, as long as the output folder is this run's.

    Raises:
        RunError: the fault would meet every raster.
    """
    from geoseg.inference.bundles import stories_of
    from geoseg.inference.stories import tell_stories

    left = sum(survey.forwards for survey in surveys)
    if left:
        progress.begin(counted(len(surveys), "raster"), left)
    # Of several, files of one are made beside the next: they need all threads for files.
    beside = run.begins_files and sum(bool(survey.missing) for survey in surveys) == 1
    alone = partial(_story, run=run, report=report, progress=progress, beside=beside)
    try:
        with run.open_slots(progress.advance, workers=left > 0, note=progress.note) as slots:
            told = (
                stories_of(surveys, run, report, progress, alone) if left else map(alone, surveys)
            )
            tell_stories(told, slots, refuse_lost)
    finally:
        if left:
            progress.end()


def _story(
    survey: Survey, run: PredictRun, report: RunReport, progress: Progress, *, beside: bool
) -> Story:
    """One raster, told as `tell_raster` does; errors are noted and do not stop the others.

    Raises:
        RunError: the fault would meet every other raster too; noted as well.
    """
    from geoseg.inference.sheet import RasterResult, tell_raster

    job, result = survey.job, RasterResult()
    try:
        with per_input(job.source.path, partial(report.fail, job)):
            while True:
                try:
                    yield from tell_raster(run.facts, survey, progress, result, beside=beside)
                    break
                except SheetError as error:
                    survey = survey_without(survey, run, error, report)
            report.finish(survey, result)
    except SchedulerLostError:
        report.interrupt(job)
        raise
    except RunError as error:
        report.fail(job, failure_line(job.source.path, error))
        raise
    except (KeyboardInterrupt, GeneratorExit):
        report.interrupt(job)
        raise
