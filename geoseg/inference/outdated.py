"""What earlier runs have left in the output folder that this one's report does not speak of.

With ``--overwrite`` it goes, as what is replaced does; else it stays and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.files import naming_file
from geoseg.inference.area_table import ZONES, is_own_table
from geoseg.inference.merged_layer import outdated_layers
from geoseg.inference.outputs import output_path
from geoseg.inference.qgis_project import is_own_project
from geoseg.inference.sheet_layers import own_virtual_rasters, project_file
from geoseg.inference.stac_files import own_documents
from geoseg.inference.survey import Survey, unasked_kinds, unasked_outputs
from geoseg.places import AnyPath, existing_files, files_in
from geoseg.raster import raster_companions
from geoseg.report import counted, shorten

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun


def remove_outdated(
    run: PredictRun, surveys: Sequence[Survey], note: Callable[[str], None]
) -> list[str]:
    """Remove the files that earlier runs have made of something else, where that is wanted.

    These are outputs of the same rasters that this run was not asked for, and the project, STAC
    documents, zones and merged layers of earlier runs. What geoseg has not made is left alone.

    Args:
        run: whose files are all written.
        surveys: of the rasters whose outputs are complete.
        note: is told what is removed.

    Returns:
        A line that names what stays; none where nothing does.

    Raises:
        OutputError: a file cannot be removed.
    """
    found = [*_of_rasters(run, surveys), *_of_the_run(run, surveys)]
    if not found:
        return []
    named = f"{counted(len(found), 'file')} of earlier runs: {shorten([str(f) for f, *_ in found])}"
    if not run.options.overwrite:
        return [f"{named}; made with other options or inputs, kept unless --overwrite is given"]
    for path in (path for files in found for path in files):
        with naming_file(path):
            path.unlink(missing_ok=True)
    note(f"removed {named}")
    return []


def _of_rasters(run: PredictRun, surveys: Sequence[Survey]) -> Iterator[Sequence[AnyPath]]:
    """Outputs of kinds that were not asked for, made from something else, each with its files."""
    names: dict[AnyPath, set[str]] = {}
    unasked = unasked_kinds(run.options)
    for survey in surveys:
        targets = survey.job.targets
        for folder in {target.parent for target in targets} - names.keys():
            names[folder] = {each.name for each in files_in(folder)}
        kinds = [kind for kind in unasked if any(_has(names, target, kind) for target in targets)]
        there = unasked_outputs(run, survey.job, kinds) if kinds else ()
        outdated = {output: output.outdated() for output in there}
        if any(outdated.values()):
            current = [*survey.outputs, *(each for each in there if each.is_current())]
            kept = {path for each in current for path in each.existing()}  # styles are shared
            of_each = [[f for f in files if f not in kept] for files in outdated.values()]
            yield from filter(None, of_each)


def _has(names: dict[AnyPath, set[str]], target: AnyPath, kind: str) -> bool:
    """Whether there is something of a kind, as one file or as squares with an index."""
    name, there = output_path(target, kind).name, names[target.parent]
    return name in there or f"{name.removesuffix('.tif')}.vrt" in there


def _of_the_run(run: PredictRun, surveys: Sequence[Survey]) -> Iterator[Sequence[AnyPath]]:
    """Files of all inputs together that were not asked for."""
    options, out = run.options, run.out
    if options.zones is None and is_own_table(out / ZONES, "zone"):
        yield [out / ZONES]
    if not isinstance(out, Path):  # a bucket holds none of what follows
        return
    if not options.project:
        project = project_file(out)
        yield from [[project]] if is_own_project(project) else []
        for path in own_virtual_rasters(out):
            yield existing_files(path, raster_companions)
    if not options.stac:
        yield from ([path] for path in own_documents(out, surveys))
    yield from outdated_layers(run, surveys)
