"""One layer of polygons over several class rasters, which are read as the sheets of a mosaic.

Regions that adjoin across the sides of sheets are one polygon. Where sheets overlap, the rule of
mosaics says which class counts: the polygons are those of one raster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rasterio

from geoseg.errors import ConfigError, OutputError
from geoseg.inference.class_raster import PART_PIXELS, ClassRaster
from geoseg.inference.options import PredictOptions
from geoseg.inference.outputs import output_path
from geoseg.inference.plan import RasterPlan
from geoseg.inference.survey import RasterJob, Survey, region_bytes
from geoseg.places import AnyPath, existing_files, refuse_folders
from geoseg.raster import (
    GDAL_CACHE_BYTES,
    MosaicSource,
    OverlapRule,
    Source,
    common_folder,
    make_mosaic,
    open_raster,
)
from geoseg.raster.mosaic import mosaic_cost
from geoseg.raster.part import BLOCK
from geoseg.raster.read_cost import ReadCost
from geoseg.report import counted
from geoseg.vector import (
    FORMATS,
    feature_tables,
    format_of,
    read_vector_fingerprint,
    write_tables,
)

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun

_OWN = "merged "
"""Begins the fingerprints of these files."""


def merged_source(
    sources: Sequence[Source], overlap_rule: OverlapRule, remedy: str
) -> MosaicSource:
    """Rasters as one.

    Args:
        sources: at least one.
        overlap_rule: which of two is on top; see `geoseg.open_mosaic`.
        remedy: what to do where they do not lie on one grid.

    Raises:
        ConfigError: they do not.
    """
    folder = common_folder([each.path for each in sources])
    mosaic, misfits = make_mosaic(folder, sources, overlap_rule, remedy=remedy)
    if misfits:
        raise ConfigError("\n".join(f"merge: {line}" for line in misfits.values()))
    return mosaic


def merged_raster(rasters: Sequence[ClassRaster], overlap_rule: OverlapRule) -> ClassRaster:
    """Several class rasters as one.

    Raises:
        ConfigError: they do not lie on one grid, or have other classes than the first one.
    """
    first = rasters[0]
    for each in rasters:
        if each.classes.names != first.classes.names:
            raise ConfigError(
                f"merge: {each.labels.path} has other classes than {first.labels.path}; merge "
                "rasters of one model, or leave merge out"
            )
    labels = merged_source(
        [each.labels for each in rasters],
        overlap_rule,
        "merge those of each grid by themselves",
    )
    return replace(first, labels=labels, seen=[labels.see()])


def refuse_unmergeable(jobs: Sequence[RasterJob], options: PredictOptions, out: AnyPath) -> None:
    """Refuse inputs whose polygons cannot become one layer, before anything runs.

    Raises:
        ConfigError: they do not lie on one grid, or the outputs are in a bucket.
        OutputError: another file is in the place of the layer, and is not to be replaced.
    """
    if not isinstance(out, Path):
        raise ConfigError(f"merge: {out} is a bucket; give a folder of this machine with --out")
    _on_top(jobs, options)
    for path in merged_files(jobs, options, out):
        found = existing_files(path, format_of(path).companions)
        refuse_folders(found)
        own = found and (read_vector_fingerprint(path) or "").startswith(_OWN)
        if found and not own and not options.overwrite:
            raise OutputError(
                f"{found[0]} exists and is no merged layer of geoseg's; use --overwrite or "
                "another --out"
            )


def plan_merged(plan: RasterPlan, surveys: Sequence[Survey], options: PredictOptions) -> RasterPlan:
    """The plan of a run with the polygons that it makes of all rasters, after all else.

    Args:
        plan: of what is left to run, which has no polygons.
        surveys: of all rasters.
        options: of the run.
    """
    shown = [survey.job.source.shown for survey in surveys]
    pixels = sum(each.height * each.width for each in shown)
    # One part is joined while the next is made; a cell is made alone.
    cell, kinds = options.cleaning.cell, 1 + options.confidence
    indexed, cleaned = region_bytes(options.vectors, options.cleaning)
    sheets = mosaic_cost([ReadCost(BLOCK**2)] * len(surveys))
    return replace(
        plan,
        polygonized=min(pixels, cell**2 or 2 * PART_PIXELS),
        written=pixels,
        regions=pixels * indexed,
        cleaned=pixels * cleaned,
        assembled=max(plan.assembled, kinds * sheets.working_bytes),
    )


def write_merged(run: PredictRun, surveys: Sequence[Survey], note: Callable[[str], None]) -> None:
    """Write the polygons of a run's sheets as one layer, where it is not there already.

    Args:
        run: of the sheets.
        surveys: of those whose class rasters are complete.
        note: is told what is written, and without what.

    Raises:
        OutputError: a file cannot be written.
        SourceError: a class raster cannot be read.
    """
    options, jobs = run.options, [survey.job for survey in surveys]
    order = _on_top(jobs, options)
    labels = _sheets(surveys, "classes", order)
    confidence = _sheets(surveys, "confidence", order) if options.confidence else None
    seen = [each.see() for each in (labels, confidence) if each is not None]
    raster = ClassRaster(
        labels, confidence, run.model.card.classes, options.attributes, seen, options.cleaning
    )
    key = _OWN + hashlib.sha256(raster.content).hexdigest()
    missing = {
        path: key
        for path in merged_files(jobs, options, Path(str(run.out)))
        if options.overwrite or not path.exists() or read_vector_fingerprint(path) != key
    }
    if not missing:
        return
    if confidence is None:
        note("merge: polygons have no confidence; --confidence writes what they take it from")
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        layer = raster.layer(next(iter(missing)).stem)
        (polygons,) = write_tables([(layer, feature_tables(layer))], missing)
    files = ", ".join(map(str, missing))
    note(f"{polygons:,} polygons of {counted(len(surveys), 'sheet')} in {files}")


def outdated_layers(run: PredictRun, surveys: Sequence[Survey]) -> Iterator[Sequence[AnyPath]]:
    """Merged layers in the place of this run's that are not the one it has written: their files."""
    jobs, formats = [survey.job for survey in surveys], run.options.vectors
    places = merged_files(jobs, replace(run.options, vectors=tuple(FORMATS)), Path(str(run.out)))
    keys = {path: read_vector_fingerprint(path) for path in places if path.exists()}
    written = {keys.get(path) for path in places if path.suffix[1:] in formats}
    found = [
        path
        for path, key in keys.items()
        if key is not None and key.startswith(_OWN) and not (run.options.merge and key in written)
    ]
    kept = [path for path in keys if path not in found]
    shared = {each for path in kept for each in format_of(path).companions(path)}
    for path in found:
        files = existing_files(path, format_of(path).companions)
        yield [each for each in files if each not in shared]


def _on_top(jobs: Iterable[RasterJob], options: PredictOptions) -> dict[Path, int]:
    """The place of each image by its path, those on top first.

    Raises:
        ConfigError: it does not lie on one grid.
    """
    remedy = "leave merge out, or give --mosaic sheets --resample in its place"
    sources = [job.source.target for job in jobs]
    mosaic = merged_source(sources, options.overlap_rule, remedy)
    return {sheet.source.path: place for place, sheet in enumerate(mosaic.sheets)}


def _sheets(surveys: Sequence[Survey], kind: str, order: dict[Path, int]) -> MosaicSource:
    """The rasters of a kind as one."""
    place = {
        Path(str(output.path)): order[survey.job.source.path]
        for survey in surveys
        for output in survey.outputs
        if output.kind == kind
    }
    sources = [open_raster(path, as_stored=True) for path in place]
    mosaic = merged_source(sources, "first", "they were written on one grid: run it again")
    sheets = sorted(mosaic.sheets, key=lambda sheet: place[sheet.source.path])
    return replace(mosaic, sheets=tuple(sheets))


def merged_files(jobs: Sequence[RasterJob], options: PredictOptions, out: Path) -> list[Path]:
    """The merged layer, a file a format, named after the folder of the inputs."""
    folders = []
    for job in jobs:
        below = Path(str(job.target)).relative_to(out)
        folders.append(job.source.path.absolute().parents[len(below.parts) - 1])
    name = common_folder([each / "sheet" for each in folders]).name or "all"
    return [Path(str(output_path(out / name, kind))) for kind in options.vectors]
