"""The inputs of a run as the sheets of one raster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import SheetError, SourceError
from geoseg.failures import per_input
from geoseg.inference.fitting import fit, open_for
from geoseg.inference.interest import AreaOfInterest
from geoseg.inference.options import PredictOptions
from geoseg.inference.run_report import RunReport
from geoseg.inference.survey import RasterJob, Survey, survey_raster
from geoseg.inference.unreadable import note_unreadable, sheet_fingerprint, unreadable_sheets
from geoseg.models import Card
from geoseg.places import AnyPath
from geoseg.prefetch import look_ahead
from geoseg.raster import (
    FoundSource,
    MosaicSource,
    Source,
    check_bands,
    common_folder,
    make_mosaic,
    opened_once,
    parse_crs,
)
from geoseg.remote import RemotePath
from geoseg.tiling import Window

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun


def mosaic_jobs(
    paths: Sequence[Path],
    found: Sequence[FoundSource],
    card: Card,
    options: PredictOptions,
    out: AnyPath,
    area: AreaOfInterest | None,
    report: RunReport,
) -> list[RasterJob]:
    """The mosaic that inputs are, alone; none where none of them can be used.

    Sheets that cannot be read, or do not lie on the grid of the others, are noted as refused: there
    is no data where they are.

    Raises:
        OutsideError: the area of interest lies elsewhere.
        SourceError: the mosaic does not fit the model.
    """
    sources, warnings = [], []
    known = unreadable_sheets(out)
    looks = look_ahead(partial(_open_sheet, card=card, options=options, known=known), found)
    for each, look in zip(found, looks, strict=True):
        with per_input(each.path, partial(report.refuse, each.path)):
            source, lines = look.result()
            sources.append(source)
            warnings += lines
    if not sources:
        return []
    path = paths[0] if len(paths) == 1 else common_folder([each.path for each in sources])
    crs = None if options.crs is None else parse_crs(options.crs)
    mosaic, misfits = make_mosaic(
        path, sources, options.overlap_rule, crs=crs, resample=options.resample
    )
    for sheet, line in misfits.items():
        report.refuse(sheet, line)
    while True:
        try:
            source, grid, more = fit(mosaic, card, options, area)
            break
        except SheetError as error:
            report.refuse(Path(error.sheet), str(error))
            mosaic = mosaic.without(error.sheet)
    is_folder = len(paths) > 1 or path.is_dir()
    name = path.resolve().name if is_folder else path.stem
    sheets = _targets(mosaic, source, found, out) if options.mosaic == "sheets" else ()
    job = RasterJob(source, out / name, grid, source.see(), sheets)
    report.accept(job, [*warnings, *more])
    return [job]


def survey_without(survey: Survey, run: PredictRun, error: SheetError, report: RunReport) -> Survey:
    """A mosaic begun anew: there is no data where a sheet of it alone was, which cannot be read.

    Raises:
        SourceError: it was the last one.
    """
    sheet = next(file for file in survey.job.source.files if str(file) == error.sheet)
    if isinstance(sheet, RemotePath):  # it may be there again
        until = "until it is there again there is no data in its place; --overwrite then"
        report.refuse(sheet, f"{error}; {until}")
    else:
        report.refuse(sheet, str(error))
        note_unreadable(run.out, sheet, run.options.stack, str(error))
    survey.folder.remove()
    source = survey.job.source.without(error.sheet)
    job = replace(survey.job, source=source.stored_in(run.work), seen=source.see())
    return survey_raster(run, job)


def _open_sheet(
    found: FoundSource, card: Card, options: PredictOptions, known: Mapping[str, str]
) -> tuple[Source, list[str]]:
    with opened_once(found.path):
        line = known and known.get(sheet_fingerprint(found.path, options.stack))
        if line:
            raise SourceError(line)
        source = open_for(found.path, card, replace(options, crs=None))
        if source.crs is None and options.crs is not None:  # else it names that of the mosaic
            source = open_for(found.path, card, options)
        return source, [*source.warnings, *check_bands(source, card.bands)]


def _targets(
    mosaic: MosaicSource, source: Source, found: Sequence[FoundSource], out: AnyPath
) -> tuple[tuple[AnyPath, Window], ...]:
    """Where the rasters of each sheet go, in the order of their paths, and what they show."""
    windows = {sheet.source.path: source.covered(sheet.window) for sheet in mosaic.sheets}
    inputs = sorted(found, key=lambda each: str(each.path))
    placed = ((out / each.relative, windows.get(each.path)) for each in inputs)
    return tuple((target, window) for target, window in placed if window is not None)
