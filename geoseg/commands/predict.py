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

from geoseg.commands.ledger import Ledger
from geoseg.commands.report import Report
from geoseg.errors import ConfigError, GeosegError, OutputError, SourceError
from geoseg.inference.job import Job, JobRunner
from geoseg.inference.options import PredictOptions
from geoseg.inference.plan import Probe, RasterPlan
from geoseg.inference.predictor import Options, Predictor, choose_device, choose_precision
from geoseg.models import Model, load_model
from geoseg.progress import Progress
from geoseg.raster import Found, check_source, find_sources, open_raster
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
        options: the options of ``geoseg predict`` with underscores; see `PredictOptions`.

    Returns:
        What was done, also written to ``out/report.json``. `exit_code` is 1 where some inputs failed.

    Raises:
        ConfigError: an option is wrong, or no input can be used; nothing was begun.
        ModelError: the model file is wrong.
        OutputError: the output folder cannot be written, or the disk has no room.
    """
    started = time.perf_counter()
    listener = progress or Progress()
    chosen = PredictOptions.of(**options)
    loaded = model if isinstance(model, Model) else load_model(Path(model))
    device = choose_device(chosen.device)
    precision = choose_precision(chosen.precision, device)
    how = Options(str(device), precision, chosen.scales, chosen.flip, chosen.value_range)
    predictor = Predictor(loaded, how, chosen.batch_size)
    folder = _output_folder(Path(out))
    ledger = Ledger(started, loaded, chosen, how)
    jobs = _checked(sources, loaded, chosen, folder, ledger)
    plan = _planned(jobs, predictor, chosen, folder, ledger)
    for line in plan:
        listener.note(line)
    if chosen.dry_run:
        return ledger.report(dry_run=True)
    try:
        with JobRunner(loaded, predictor, chosen, folder, listener) as runner:
            for job in jobs:
                try:
                    ledger.done(job, runner.run(job))
                except GeosegError as error:
                    ledger.fail(job, error)
                except (MemoryError, OSError, RuntimeError) as error:
                    # What a library raised about this raster (memory, GDAL, a dead worker) must not stop the others.
                    ledger.fail(job, SourceError(f"{job.source.path}: {type(error).__name__}: {error}"))
    finally:
        # Also after an interrupt: the report tells what stands.
        ledger.write(folder / "report.json")
    return ledger.report()


def _output_folder(out: Path) -> Path:
    """The output folder, made and tried.

    Raises:
        OutputError: it cannot be made or written.
    """
    probe = out / f".geoseg-probe-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"output folder {out} cannot be written ({error.strerror}); choose another --out") from error
    return out


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
        raise ConfigError("\n".join(ledger.failures))
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


def _planned(
    jobs: Sequence[Job], predictor: Predictor, options: PredictOptions, out: Path, ledger: Ledger
) -> list[str]:
    """The plan in lines for a person; its figures go into the ledger.

    Raises:
        OutputError: the disk has less room than the outputs will surely take.
    """
    plans = [job.plan(predictor.classes, options) for job in jobs]
    first = jobs[0]
    probe = Probe.of(predictor, first.grid, bands=len(first.source.bands), dtype=first.source.dtype)
    total = RasterPlan.total(plans)
    ledger.plan = total.figures(probe)
    free = shutil.disk_usage(out).free
    if free < total.output:
        raise OutputError(
            f"{out} has {free / 1e6:.0f} MB free, the outputs take about {total.output / 1e6:.0f} MB; "
            "free the disk or choose another --out"
        )
    return total.lines(len(jobs), probe)
