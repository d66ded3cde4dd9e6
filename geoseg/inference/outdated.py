"""What earlier runs have left in the output folder that this one's report does not speak of.

With ``--overwrite`` it goes, as what is replaced does; else it stays and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.files import remove_files
from geoseg.inference.area_table import ZONES, is_own_table
from geoseg.inference.merged_layer import outdated_layers
from geoseg.inference.outputs import RASTERS, output_path
from geoseg.inference.qgis_project import is_own_project
from geoseg.inference.sheet_layers import own_virtual_rasters, project_file
from geoseg.inference.stac_files import own_documents
from geoseg.inference.survey import Survey, unasked_kinds, unasked_outputs
from geoseg.places import AnyPath, existing_files, names_in
from geoseg.raster import raster_companions
from geoseg.report import counted, shorten
from geoseg.styles import styles_of
from geoseg.vector import FORMATS

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
    for files in found:
        remove_files(files)
    note(f"removed {named}")
    return []


def _of_rasters(run: PredictRun, surveys: Sequence[Survey]) -> Iterator[Sequence[AnyPath]]:
    """Outputs of kinds that were not asked for, made from something else, each with its files.

    So is what killed runs have left of these, or of squares in the place of an output of one file.
    """
    names: dict[AnyPath, set[str]] = {}
    unasked = unasked_kinds(run.options)
    for survey in surveys:
        targets = survey.job.targets
        for folder in {target.parent for target in targets} - names.keys():
            names[folder] = names_in(folder)
        asked = [each for each in survey.outputs if each.kind in RASTERS and not each.side]
        cut = [each for each in asked if each.path.stem in names[each.path.parent]]
        formats = [FORMATS[each.kind] for each in survey.outputs if each.kind in FORMATS]
        styled = not all(each.styled_inside for each in formats)
        kinds = [
            kind
            for kind in unasked
            if any(_traces(each, kind, styled) & names[each.parent] for each in targets)
        ]
        there = [*cut, *(unasked_outputs(run, survey.job, kinds) if kinds else ())]
        outdated = [output.outdated() for output in there]
        if any(outdated):
            current = {*survey.outputs, *(each for each in there if each.is_current())}
            kept = {path for each in current for path in each.files()}  # styles are shared
            for files in outdated:
                left = [file for file in files if file not in kept]
                kept.update(left)
                yield from [left] if left else []


def _traces(target: AnyPath, kind: str, styled: bool) -> set[str]:
    """The names that tell that there is, or was, something of a kind.

    Args:
        target: of the raster.
        kind: of the output.
        styled: whether the styles of polygons are those of a format that is asked for.
    """
    path = output_path(target, kind)
    beside: list[AnyPath] = []
    if kind in RASTERS:
        beside = [path.with_name(f"{path.name}.aux.xml"), *styles_of(path)]
        beside += [path.with_suffix(".vrt"), path.with_suffix("")]
    elif kind in FORMATS:
        beside = FORMATS[kind].beside(path) + ([] if styled else styles_of(path))
    return {path.name, *(each.name for each in beside)}


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
