"""From what the user named to the rasters that will be predicted; the others are noted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import rasterio

from geoseg.errors import ConfigError, OutsideError
from geoseg.failures import per_input
from geoseg.inference.fitting import open_fitting
from geoseg.inference.interest import AreaOfInterest, read_area
from geoseg.inference.mosaics import mosaic_jobs
from geoseg.inference.options import PredictOptions
from geoseg.inference.run_report import RunReport
from geoseg.inference.survey import RasterJob
from geoseg.look_processes import look_beside
from geoseg.memory import trim_heap
from geoseg.models import Card
from geoseg.places import AnyPath
from geoseg.prefetch import look_ahead
from geoseg.raster import (
    GDAL_CACHE_BYTES,
    FoundSource,
    common_folder,
    find_sources,
    opened_once,
)
from geoseg.raster.companions import without_companions
from geoseg.remote import RemotePath
from geoseg.report import nothing_usable

_Checked = tuple[RasterJob, list[str]]
_Look = Callable[[FoundSource], _Checked]


def find_jobs(
    paths: Sequence[Path], card: Card, options: PredictOptions, out: AnyPath, report: RunReport
) -> list[RasterJob]:
    """The inputs that can be used; the others are noted as refused.

    Raises:
        ConfigError: none can be used.
    """
    jobs = []
    area = None if options.aoi is None else read_area(options.aoi, options.aoi_layer)
    found = find_sources(paths, tiles=options.mosaic is not None)
    report.leave_out(found)
    inputs, beside = without_companions(found.sources, options.stack)
    for line in beside:
        report.pass_over(line)
    if options.mosaic is not None:
        jobs = _mosaic_jobs(paths, inputs, card, options, out, area, report)
        return _usable(jobs, options, report)
    look = partial(_check, card=card, options=options, out=out, area=area)
    checks = look_ahead(look, inputs, beside=_with_helpers(look, inputs, options))
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):  # else a twentieth of the machine's memory
        for each, check in zip(inputs, checks, strict=True):
            with per_input(each.path, partial(report.refuse, each.path)):
                try:
                    job, warnings = check.result()
                except OutsideError:
                    report.pass_over(f"{each.path}: lies outside of {options.aoi}")
                    continue
                report.accept(job, warnings)
                jobs.append(job)
    trim_heap()  # of the pixels that were looked at
    return _usable(jobs, options, report)


def _usable(jobs: list[RasterJob], options: PredictOptions, report: RunReport) -> list[RasterJob]:
    if not jobs and options.aoi is not None and not report.failures:
        raise ConfigError(f"{options.aoi}: touches none of the inputs; give an area on them")
    if not jobs:
        raise nothing_usable(report.failures)
    return jobs


def _mosaic_jobs(
    paths: Sequence[Path],
    found: Sequence[FoundSource],
    card: Card,
    options: PredictOptions,
    out: AnyPath,
    area: AreaOfInterest | None,
    report: RunReport,
) -> list[RasterJob]:
    """The mosaic alone, if it can be used."""
    place, jobs = common_folder(paths), []
    with (
        rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES),
        per_input(place, partial(report.refuse, place)),
    ):
        try:
            jobs += mosaic_jobs(paths, found, card, options, out, area, report)
        except OutsideError:
            report.pass_over(f"{place}: lies outside of {options.aoi}")
    return jobs


def _with_helpers(
    look: _Look, inputs: Sequence[FoundSource], options: PredictOptions
) -> Callable[[Sequence[FoundSource]], Iterator[Future[_Checked]]] | None:
    """The same look by as many processes as the run has workers, where it has several."""
    helpers = min(options.workers, os.cpu_count() or 1) - 1
    elsewhere = any(isinstance(each.path, RemotePath) for each in inputs)
    if helpers < 1 or options.aoi is not None or elsewhere:
        return None
    environment = {"GDAL_CACHEMAX": str(GDAL_CACHE_BYTES)}
    return partial(look_beside, look, helpers=helpers, environment=environment)


def _check(
    found: FoundSource,
    card: Card,
    options: PredictOptions,
    out: AnyPath,
    area: AreaOfInterest | None,
) -> _Checked:
    """A raster opened and checked against the model's card, with its warnings."""
    with opened_once(found.path):
        source, grid, warnings = open_fitting(found.path, card, options, area)
        options.cleaning.refuse_unmeasurable(found.path, source.crs)
        seen = source.see()
    return RasterJob(source, out / found.relative, grid, seen), warnings
