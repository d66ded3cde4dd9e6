"""The files that say where predictions are wrong: a raster a pair, a GeoPackage of regions."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray

from geoseg import ogr
from geoseg.datasets.file_keys import root_of
from geoseg.errors import ConfigError, OutputError
from geoseg.evaluation.error_kinds import ErrorKinds
from geoseg.evaluation.error_raster import PairErrors, WrongRegions, draw_errors, largest_of
from geoseg.evaluation.outputs import METRICS
from geoseg.evaluation.pairs import RasterPair, ScoringOptions
from geoseg.evaluation.scoring import PairScore
from geoseg.files import replace_file, sync_file
from geoseg.places import AnyPath, existing_files, refuse_folders
from geoseg.prefetch import work_ahead
from geoseg.progress import Progress
from geoseg.raster import GDAL_CACHE_BYTES, raster_companions, read_fingerprint
from geoseg.vector import FORMATS, read_vector_fingerprint
from geoseg.vector.formats import GPKG_OPTIONS
from geoseg.vector.style import add_styles, qml_of, sld_of
from geoseg.vector.vector_file import FINGERPRINT
from geoseg.vector.write import WRITING_ERRORS

REGIONS = "errors.gpkg"
_OWN = "errors of an evaluation"
"""The fingerprint of these files."""
_GPKG = FORMATS["gpkg"]

Objects = NDArray[np.object_]


def error_rasters(pairs: Sequence[RasterPair], predicted: str, folder: Path) -> dict[Path, Path]:
    """The error raster of each prediction, at the same place below the folder.

    Args:
        pairs: to be scored.
        predicted: a file, a folder or a pattern, as it was given.
        folder: of the evaluation.

    Raises:
        ConfigError: two pairs would have the same one.
    """
    root, places = root_of(predicted), dict[Path, Path]()
    for pair in pairs:
        path = pair.predicted.path
        name = f"{path.stem.removesuffix('_classes')}_errors.tif"
        place = folder / path.relative_to(root).with_name(name)
        other = places.setdefault(place, path)
        if other is not path:
            raise ConfigError(
                f"errors: {other} and {path} would both become {place}; evaluate them separately"
            )
    return {path: place for place, path in places.items()}


def refuse_foreign_errors(rasters: Mapping[Path, Path], folder: Path) -> None:
    """Refuse to replace files of these names that are not an evaluation's.

    Args:
        rasters: as `error_rasters` gives them; none where no errors are written.
        folder: of the evaluation.

    Raises:
        OutputError: with the first of them; or of the folders in their places.
    """
    for path in [*rasters.values(), folder / REGIONS] if rasters else []:
        refuse_folders(_existing(path))
        if path.exists() and not _is_own(path):
            raise OutputError(
                f"{path} exists and was not written by geoseg evaluate; move it away, or choose "
                "another --out"
            )


def _is_own(path: Path) -> bool:
    read = read_vector_fingerprint if path.suffix == ".gpkg" else read_fingerprint
    return read(path) == _OWN


def write_errors(
    scores: Sequence[PairScore],
    rasters: Mapping[Path, Path],
    folder: Path,
    options: ScoringOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Write the error rasters and the GeoPackage of the largest wrong regions.

    Args:
        scores: of the pairs.
        rasters: the error raster of each prediction.
        folder: of the evaluation.
        options: how the pairs were scored.
        progress: is informed of what happens.

    Returns:
        What they hold, for ``metrics.json``.

    Raises:
        SourceError: a raster can no longer be read.
        OutputError: a file cannot be written.
    """
    kinds = ErrorKinds.of(reduce(add, (score.confusion for score in scores)), options.scheme.names)

    def draw(score: PairScore, stopped: Callable[[], bool]) -> PairErrors:
        out = rasters[score.pair.predicted.path]
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            return draw_errors(score.pair, options, kinds, out, _OWN, stopped)

    progress.begin("errors", len(scores))
    made = []
    with closing(work_ahead(draw, scores)) as drawn:
        for each in drawn:
            made.append(each.result())
            progress.advance(1)
    progress.end()
    listed = _write_regions(folder / REGIONS, made, kinds, folder)
    pairs = zip(kinds.scheme.names, kinds.reference, kinds.predicted, kinds.pixels, strict=True)
    keys = ("kind", "reference", "predicted", "pixels")
    return {
        "rasters": [_name(each, folder) for each in made],
        "regions": sum(each.count for each in made),
        "regions_listed": listed,
        "kinds": [dict(zip(keys, pair, strict=True)) for pair in pairs],
    }


def _name(errors: PairErrors, folder: Path) -> str:
    return errors.raster.relative_to(folder).as_posix()


def _write_regions(
    path: Path, errors: Sequence[PairErrors], kinds: ErrorKinds, folder: Path
) -> int:
    """Write the largest of all regions, a layer for each CRS; how many they are."""
    sheets = np.repeat(np.arange(len(errors)), [len(each.regions.kind) for each in errors])
    regions = WrongRegions.joined([each.regions for each in errors])
    chosen = largest_of(regions)
    regions, sheets = regions.chosen(chosen), sheets[chosen]
    systems = [None if each.crs is None else each.crs.to_wkt() for each in errors]
    places = dict.fromkeys(systems)
    names = np.array([_name(each, folder).removesuffix("_errors.tif") for each in errors], object)
    styles = []
    with replace_file(path, companions=_GPKG.companions, errors=WRITING_ERRORS) as made:
        for number, system in enumerate(places, start=1):
            layer = Path(REGIONS).stem + (f"_{number}" if number > 1 else "")
            here = np.array([systems[sheet] == system for sheet in sheets.tolist()], np.bool_)
            _write_layer(made, layer, system, regions.chosen(here), names[sheets[here]], kinds)
            shown = np.unique(regions.kind[here]).tolist()
            styles.append((layer, qml_of(kinds.scheme, shown), sld_of(layer, kinds.scheme, shown)))
        add_styles(made, styles)
        sync_file(made)
    return len(sheets)


def _write_layer(
    path: Path,
    layer: str,
    crs: str | None,
    regions: WrongRegions,
    sheets: Objects,
    kinds: ErrorKinds,
) -> None:
    columns: dict[str, NDArray[Any]] = {
        "class": np.array(kinds.scheme.names, object)[regions.kind],
        "reference": np.array(kinds.reference, object)[regions.kind],
        "predicted": np.array(kinds.predicted, object)[regions.kind],
        "area_m2": regions.area,
        "pixels": regions.pixels,
        "confidence": regions.confidence,
        "sheet": sheets,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        ogr.raw.write(
            path,
            shapely.to_wkb(regions.polygons),
            list(columns.values()),
            list(columns),
            layer=layer,
            driver="GPKG",
            geometry_type="Polygon",
            crs=crs,
            encoding="UTF-8",
            append=path.exists(),
            layer_metadata={FINGERPRINT: _OWN},
            dataset_options=None if path.exists() else GPKG_OPTIONS,
        )


def remove_former_errors(folder: Path, rasters: Mapping[Path, Path]) -> None:
    """Remove the error files of the evaluation before, which new metrics would contradict.

    Its ``metrics.json`` names them, so that is still there: a run that is killed meanwhile leaves
    nothing that the next one does not find.

    Args:
        folder: of the evaluations.
        rasters: that the new one has written; none where it writes no errors.

    Raises:
        OutputError: a file cannot be removed.
    """
    kept = {*rasters.values(), folder / REGIONS} if rasters else set()
    for path in _listed_errors(folder):
        if path in kept or (path.exists() and not _is_own(path)):
            continue
        try:
            for each in _existing(path):  # a file that is there is whole
                each.unlink()
        except OSError as error:
            raise OutputError(f"{path}: cannot be removed ({error.strerror}); remove it") from error


def _existing(path: Path) -> list[AnyPath]:
    """What exists of an error raster, or of the wrong regions."""
    return existing_files(path, _GPKG.companions if path.suffix == ".gpkg" else raster_companions)


def _listed_errors(folder: Path) -> list[Path]:
    """The error files that the evaluation in a folder names; none where it names none."""
    try:
        errors = json.loads((folder / METRICS).read_text(encoding="utf-8"))["errors"]
        names = [str(name) for name in errors["rasters"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    inside = [name for name in names if ".." not in Path(name).parts]
    return [folder / name for name in [*inside, REGIONS]]
