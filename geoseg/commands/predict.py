"""Class rasters, polygons and a report of a folder of orthophotos.

The story: load the model; open every source and check it against the card; plan; run each raster to its files.
What fails is named and the others go on; what is done is kept; what was begun is continued.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoseg.errors import GeosegError, OutputError, SourceError
from geoseg.files import lock_folder
from geoseg.inference.job import JobRunner
from geoseg.inference.options import PredictOptions
from geoseg.inference.plan import Probe, RasterPlan
from geoseg.inference.predictor import Options, Predictor, choose_device, choose_precision
from geoseg.inference.run_report import Ledger
from geoseg.inference.survey import Job, Survey, Surveyor
from geoseg.models import Model, load_model
from geoseg.progress import Progress
from geoseg.raster import Found, check_source, find_sources, open_raster
from geoseg.report import Report, nothing_usable
from geoseg.tiling import TileGrid


def run(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    model: str | os.PathLike[str] | Model,
    out: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Predict rasters with a model.

    Args:
        sources: files or folders of orthophotos.
        model: a model file, or a loaded model.
        out: folder for the outputs.
        progress: who listens to plan and progress; nobody by default.
        options: the options of ``geoseg predict`` with underscores; see `PredictOptions`. With ``workers`` a script
            needs ``if __name__ == "__main__":`` around the call: worker processes import the script.

    Returns:
        What was done, also written to ``out/report.json``. `exit_code` is 1 where some inputs failed.

    Raises:
        ConfigError: an option is wrong, or no input can be used; nothing was begun.
        ModelError: the model file is wrong.
        OutputError: the output folder cannot be written or another run writes into it, or the disk has no room.
    """
    started = time.perf_counter()
    listener = progress or Progress()
    chosen = PredictOptions.of(**options)
    loaded = model if isinstance(model, Model) else load_model(Path(model))
    device = choose_device(chosen.device)
    precision = choose_precision(chosen.precision, device)
    how = Options(str(device), precision, chosen.scales, chosen.flip, chosen.value_range)
    predictor = Predictor(loaded, how, chosen.batch_size)
    folder = Path(out)
    surveyor = Surveyor(loaded, how, chosen, folder)
    ledger = Ledger(started, loaded, chosen, how, surveyor)
    jobs = _checked(sources, loaded, chosen, folder, ledger)
    if chosen.dry_run:
        _tell_plan(_surveyed(jobs, surveyor, ledger), predictor, chosen, folder, ledger, listener)
        return ledger.report(dry_run=True)
    with lock_folder(folder):
        surveys = _surveyed(jobs, surveyor, ledger)
        _tell_plan(surveys, predictor, chosen, folder, ledger, listener)
        try:
            with JobRunner(loaded, predictor, chosen, surveyor, listener) as runner:
                for survey in surveys:
                    _run_one(survey.job, runner, ledger)
        except BaseException:
            try:
                ledger.write(folder / "report.json")
            except OutputError as error:  # what ended the run is told, not this
                listener.note(str(error))
            raise
        ledger.write(folder / "report.json")
    return ledger.report()


def _run_one(job: Job, runner: JobRunner, ledger: Ledger) -> None:
    """Run a raster; what goes wrong with it is noted and must not stop the others."""
    try:
        ledger.done(job, runner.run(job))
    except GeosegError as error:
        ledger.fail(job, error)
    except (
        MemoryError,
        OSError,
        RuntimeError,
    ) as error:  # of a library: memory, GDAL, a dead worker
        ledger.fail(job, SourceError(f"{job.source.path}: {type(error).__name__}: {error}"))
    except KeyboardInterrupt:
        ledger.interrupt(job)
        raise


def _checked(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    model: Model,
    options: PredictOptions,
    out: Path,
    ledger: Ledger,
) -> list[Job]:
    """The inputs that can be used; the others are noted as refused.

    Raises:
        ConfigError: none can be used.
    """
    paths = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    jobs = []
    for found in find_sources([Path(path) for path in paths]):
        try:
            job, warnings = _check(found, model, options, out)
        except SourceError as error:
            ledger.refuse(found.path, error)
            continue
        ledger.accept(job, warnings)
        jobs.append(job)
    if not jobs:
        raise nothing_usable(ledger.failures)
    return jobs


def _check(found: Found, model: Model, options: PredictOptions, out: Path) -> tuple[Job, list[str]]:
    card = model.card
    source = open_raster(found.path, bands=options.bands, nodata=options.nodata, crs=options.crs)
    warnings = check_source(
        source,
        bands=card.bands,
        value_range=card.value_range,
        ground_sampling=card.ground_sampling,
        source_range=options.value_range,
    )
    window = card.window if options.window is None else options.window
    overlap = card.overlap if options.overlap is None else options.overlap
    grid = TileGrid(source.height, source.width, window, overlap, options.stitch)
    return Job(source, out / found.relative, grid), warnings


def _surveyed(jobs: Sequence[Job], surveyor: Surveyor, ledger: Ledger) -> list[Survey]:
    """What stands and what is left of each raster; where that cannot be told, the raster is noted as failed."""
    surveys = []
    for job in jobs:
        try:
            surveys.append(surveyor.survey(job))
        except GeosegError as error:
            ledger.fail(job, error)
    return surveys


def _tell_plan(
    surveys: Sequence[Survey],
    predictor: Predictor,
    options: PredictOptions,
    out: Path,
    ledger: Ledger,
    listener: Progress,
) -> None:
    """Tell the plan and note its figures.

    Raises:
        OutputError: the disk has less room than the outputs will surely take.
    """
    left = [survey for survey in surveys if survey.forwards]
    if not left:
        listener.note("plan: no window is left to run")
        return
    source = left[0].job.source
    probe = Probe.of(predictor, left[0].job.grid, bands=len(source.bands), dtype=source.dtype)
    total = RasterPlan.total([survey.plan() for survey in left])
    ledger.plan = total.figures(probe, options.workers)
    for line in total.lines(len(left), probe, options.workers):
        listener.note(line)
    disk = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(disk).free
    if free < total.least_output:
        raise OutputError(
            f"{out} has {free / 1e6:.0f} MB free, the outputs take about {total.output / 1e6:.0f} MB; "
            "free the disk or choose another --out"
        )
