"""The files of a run besides those of its sheets and the report: tables, project, STAC."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from geoseg.inference.area_table import refuse_foreign_areas, write_areas
from geoseg.inference.merged_layer import write_merged
from geoseg.inference.options import PredictOptions
from geoseg.inference.run_report import RunReport
from geoseg.inference.sheet_layers import refuse_project, write_sheet_project
from geoseg.inference.stac_files import refuse_stac, write_stac
from geoseg.inference.zone_file import check_zones
from geoseg.places import AnyPath

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun


def refuse_further(place: AnyPath, options: PredictOptions) -> None:
    """Refuse what cannot be written, before anything runs.

    Raises:
        ConfigError: zones cannot be used, or a bucket cannot hold what is asked for.
        OutputError: files of others are in the place of these, and are not to be replaced.
    """
    refuse_foreign_areas(place, overwrite=options.overwrite)
    if options.zones is not None:
        check_zones(options.zones)
    if options.project:
        refuse_project(place, overwrite=options.overwrite)
    if options.stac:
        refuse_stac(place, overwrite=options.overwrite)


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
        write_areas(run.out, areas, run.model.card.classes.names)
    if run.options.merge:
        with report.noting_failures():
            write_merged(run, surveys, note)
    if run.options.project:
        with report.noting_failures():
            write_sheet_project(run, surveys, note)
    if run.options.stac:
        with report.noting_failures():
            write_stac(run, surveys)
