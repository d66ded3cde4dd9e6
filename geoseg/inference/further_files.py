"""The files of a run besides those of its sheets: tables, project, STAC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from geoseg.inference.area_table import areas_of_zones, refuse_foreign_areas, write_areas
from geoseg.inference.merged_layer import refuse_unmergeable, write_merged
from geoseg.inference.options import PredictOptions
from geoseg.inference.outdated import remove_outdated
from geoseg.inference.run_report import REPORT, RunReport
from geoseg.inference.sheet_layers import refuse_project, write_sheet_project
from geoseg.inference.stac_files import refuse_items, refuse_stac, write_stac
from geoseg.inference.zone_file import check_zones
from geoseg.own_reports import refuse_foreign_report
from geoseg.places import AnyPath, refuse_folders
from geoseg.report import counted, shorten

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun
    from geoseg.inference.survey import RasterJob


def refuse_further(place: AnyPath, options: PredictOptions) -> None:
    """Refuse what cannot be written, before anything runs.

    Raises:
        ConfigError: zones cannot be used, or a bucket cannot hold what is asked for.
        OutputError: files of others are in the place of these, and are not to be replaced.
    """
    refuse_folders([place / REPORT])
    if not options.overwrite:
        way_out = "use --overwrite to replace it"
        refuse_foreign_report(place / REPORT, ("geoseg", "inputs"), "predict", way_out=way_out)
    refuse_foreign_areas(place, overwrite=options.overwrite)
    if options.zones is not None:
        check_zones(options.zones)
    if options.project:
        refuse_project(place, overwrite=options.overwrite)
    if options.stac:
        refuse_stac(place, overwrite=options.overwrite)


def refuse_of_inputs(jobs: Sequence[RasterJob], place: AnyPath, options: PredictOptions) -> None:
    """Likewise what depends on the inputs.

    Raises:
        ConfigError: their polygons cannot become one layer.
        OutputError: another file, or a folder, is in the place of one.
    """
    if options.merge:
        refuse_unmergeable(jobs, options, place)
    if options.stac:
        refuse_items(jobs, place, overwrite=options.overwrite)


def _note_zones(report: RunReport, path: str, names: Sequence[str]) -> None:
    """Put zones into the report, and warn of those that no sheet shows."""
    areas = [each for _, found in report.finished for each in found]
    features = check_zones(path)
    numbers = set((features.feature + 1).tolist())
    unseen = sorted(numbers - {each.zone for each in areas})
    warnings = [f"zones: {line}" for line in features.warnings]
    if unseen:
        listed = shorten([str(number) for number in unseen])
        warnings.append(
            f"zones: {path}: {len(unseen)} of {counted(len(numbers), 'polygon')} lie on none of "
            f"the {counted(len(report.finished), 'sheet')} that are done: {listed}"
        )
    seen = areas_of_zones(areas, names)
    report.note_zones({"path": path, "polygons": len(numbers), "seen": seen})
    report.warn(warnings)


def write_further(run: PredictRun, report: RunReport, note: Callable[[str], None]) -> None:
    """Write them of all sheets that are complete; what cannot be written is a failure of the run.

    Args:
        run: of the sheets.
        report: knows them, and notes failures.
        note: is told what is left out.
    """
    surveys = [survey for survey, _ in report.finished]
    if not surveys:
        return
    with report.noting_failures():
        areas = [each for _, found in report.finished for each in found]
        zones = run.options.zones
        write_areas(run.out, areas, run.model.card.classes.names, zones=zones is not None)
        if zones is not None:
            _note_zones(report, zones, run.model.card.classes.names)
    if run.options.merge:
        with report.noting_failures():
            write_merged(run, surveys, note)
    if run.options.project:
        with report.noting_failures():
            write_sheet_project(run, surveys, note)
    if run.options.stac:
        with report.noting_failures():
            write_stac(run, surveys)
    with report.noting_failures():
        report.warn(remove_outdated(run, surveys, note))
