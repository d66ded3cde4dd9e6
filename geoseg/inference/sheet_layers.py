"""The layers of a QGIS project over what a run has made of its sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError, OutputError
from geoseg.files import remove_files
from geoseg.inference.merged_layer import merged_files
from geoseg.inference.options import PredictOptions
from geoseg.inference.outputs import RASTERS, Output, layer_of
from geoseg.inference.qgis_project import ProjectLayer, refuse_foreign_project, write_project
from geoseg.inference.survey import Survey
from geoseg.places import AnyPath, existing_files, refuse_folders
from geoseg.raster import (
    MosaicSource,
    Source,
    imagery_style,
    open_raster,
    raster_companions,
    raster_style,
    read_fingerprint,
)
from geoseg.raster.sheet_vrt import OWN, write_sheet_vrts
from geoseg.report import counted
from geoseg.vector import polygon_style

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun

MOST_SHEETS = 200
"""Of a group of layers: QGIS opens every layer."""
_CLASSES_OPACITY = 0.6
_GROUPS = ("polygons", "classes", "confidence", "imagery")
"""From top to bottom."""
_POLYGONS = ("gpkg", "fgb", "shp", "geojson", "geojsonl")
"""Formats that any QGIS reads, the fastest first."""


def project_file(folder: Path) -> Path:
    """The project of a run's folder, named after it."""
    return folder / f"{folder.absolute().name or 'project'}.qgz"


def refuse_project(place: AnyPath, *, overwrite: bool) -> None:
    """Refuse what cannot become the folder of a project.

    Raises:
        ConfigError: it is in a bucket.
        OutputError: it holds another project, and that is not to be replaced.
    """
    if not isinstance(place, Path):
        raise ConfigError(f"project: {place} is a bucket; give a folder of this machine with --out")
    over_all = [_over_all(place, group) for group in _GROUPS[1:]]
    refuse_folders([project_file(place), *over_all])
    if overwrite:
        return
    refuse_foreign_project(project_file(place))
    for path in over_all:
        if path.exists() and read_fingerprint(path) != OWN:
            raise OutputError(
                f"{path} exists and was not written by geoseg; use --overwrite to replace it, "
                "or leave --project out"
            )


def write_sheet_project(
    run: PredictRun, surveys: Sequence[Survey], note: Callable[[str], None]
) -> None:
    """Write the project of a run: polygons, classes and confidence over the imagery.

    Args:
        run: of the sheets.
        surveys: of those whose outputs are complete.
        note: is told what is left out where there are many.

    Raises:
        OutputError: it cannot be written.
        SourceError: imagery cannot be read.
    """
    if not surveys:
        return
    folder, classes, first = Path(str(run.out)), run.model.card.classes, surveys[0].job.source
    # Of many sources, looking for the range of values of each would take long.
    shared = imagery_style(first) if len(surveys) > MOST_SHEETS else None
    layers = [layer for survey in surveys for layer in _layers(folder, survey, classes, shared)]
    if run.options.merge:
        layers += _merged(folder, surveys, run.options, classes)
    if run.options.vectors and not set(run.options.vectors) & set(_POLYGONS):
        note(
            "the project shows no polygons: not every QGIS reads GeoParquet; add gpkg to --vectors"
        )
    groups = [[each for each in layers if each.group == group] for group in _GROUPS]
    layers = [each for group in groups for each in _few(folder, group, note)]
    outlines = [_outline(each.job.source) for each in surveys if each.job.source.crs == first.crs]
    write_project(project_file(folder), layers, shapely.box(*shapely.total_bounds(outlines)))
    shown = {layer.path for layer in layers}
    for path in own_virtual_rasters(folder):  # a larger run before this one had more of them
        if path not in shown:
            remove_files(existing_files(path, raster_companions))


def _few(
    folder: Path, layers: list[ProjectLayer], note: Callable[[str], None]
) -> list[ProjectLayer]:
    """The layers of a group; of many rasters, virtual ones over all that fit together."""
    if len(layers) <= MOST_SHEETS:
        return layers
    first = layers[0]
    if first.is_vector:
        note(
            f"the project shows no polygons of more than {MOST_SHEETS} sheets: QGIS would open "
            "each; --merge makes one layer"
        )
        return []
    paths = [layer.path for layer in layers]
    made, left = write_sheet_vrts(paths, _over_all(folder, first.group), first.crs, first.style)
    if left:
        note(f"the project shows no {first.group} of {counted(len(left), 'sheet')}, as {left[0]}")
    return [
        replace(first, name=each.path.stem, path=each.path, crs=each.crs, style=each.style)
        for each in made
    ]


def own_virtual_rasters(folder: Path) -> list[Path]:
    """The virtual rasters over all sheets that a run of geoseg's has written for its project."""
    beginning = f"{project_file(folder).stem}_all_"
    found = [path for path in folder.glob("*_all_*.vrt") if path.name.startswith(beginning)]
    return sorted(path for path in found if read_fingerprint(path) == OWN)


def _over_all(folder: Path, group: str) -> Path:
    """The virtual raster over all sheets of a group."""
    return project_file(folder).with_name(f"{project_file(folder).stem}_all_{group}.vrt")


def _merged(
    folder: Path, surveys: Sequence[Survey], options: PredictOptions, classes: ClassScheme
) -> list[ProjectLayer]:
    """The merged polygons, if they could be written."""
    made = merged_files([survey.job for survey in surveys], options, folder)
    suffixes = [f".{kind}" for kind in _POLYGONS]
    shown = [path for suffix in suffixes for path in made if path.suffix == suffix]
    crs, style = surveys[0].job.source.target.crs, polygon_style(classes)
    return [
        ProjectLayer("polygons", path.stem, path, crs, style, True, shown=False)
        for path in shown[:1]
        if path.exists()
    ]


def _layers(
    folder: Path, survey: Survey, classes: ClassScheme, shared: str | None
) -> Iterator[ProjectLayer]:
    source = survey.job.source
    vectors = [each for kind in _POLYGONS for each in survey.outputs if each.kind == kind]
    for output in [*vectors[:1], *(each for each in survey.outputs if each.kind in RASTERS[:2])]:
        path = Path(str(output.path))
        name = _name(folder, output)
        if output.kind in RASTERS:
            style = raster_style(layer_of(output.kind, classes))
            is_classes = output.kind == "classes"
            opacity = _CLASSES_OPACITY if is_classes else 1.0
            yield ProjectLayer(
                output.kind, name, path, source.crs, style, opacity=opacity, shown=is_classes
            )
        else:
            style = polygon_style(classes)
            yield ProjectLayer("polygons", name, path, source.crs, style, True, shown=False)
    for path, crs, style in _imagery(source, shared):
        yield ProjectLayer("imagery", path.stem, path, crs, style)


def _imagery(source: Source, shared: str | None) -> Iterator[tuple[Path, CRS | None, str]]:
    """Each file of a source with its own CRS, and its style: that of a mosaic is one for all.

    Args:
        source: the imagery.
        shared: the style of all sources; None: each has its own.
    """
    if len(source.files) == 1:
        yield source.files[0], source.crs, shared or imagery_style(source)
        return
    if shared is None and isinstance(source, MosaicSource):
        shared = imagery_style(source)
    for path in source.files:
        own = open_raster(path)
        yield path, source.crs if own.crs is None else own.crs, shared or imagery_style(own)


def _name(folder: Path, output: Output) -> str:
    below = Path(str(output.path)).relative_to(folder).with_suffix("")
    ending = output.kind if output.kind in RASTERS else "polygons"
    return below.as_posix().removesuffix(f"_{ending}")


def _outline(source: Source) -> shapely.Polygon:
    shown = source.extent
    corners = np.array(
        [(shown.col, shown.row), (shown.col_end, shown.row), (shown.col_end, shown.row_end),
         (shown.col, shown.row_end)], float
    )  # fmt: skip
    return shapely.Polygon(np.column_stack(source.transform @ corners.T))
