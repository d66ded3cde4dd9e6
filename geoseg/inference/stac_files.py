"""The STAC documents of a run, beside its outputs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

from geoseg.errors import ConfigError, OutputError
from geoseg.files import write_text
from geoseg.geodesy import to_longitude_latitude
from geoseg.inference.outputs import RASTERS, Output, layer_of
from geoseg.inference.run_report import REPORT
from geoseg.inference.stac import COLLECTION_ID, Asset, Item, collection_of
from geoseg.inference.survey import RasterJob, Survey
from geoseg.places import AnyPath, refuse_folders, relative_name
from geoseg.raster import place_of
from geoseg.raster.dates import changed_at

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun

COLLECTION = "collection.json"
_ROLES = {"preview": "overview"}
_STEP = 64
"""Of points along the border of a sheet, pixels at most a 64th of its sides apart."""


def refuse_stac(place: AnyPath, *, overwrite: bool) -> None:
    """Refuse what cannot become the folder of a collection.

    Raises:
        ConfigError: it is in a bucket.
        OutputError: it holds another file of the name, and that is not to be replaced.
    """
    if not isinstance(place, Path):
        raise ConfigError(f"stac: {place} is a bucket; give a folder of this machine with --out")
    _refuse_in_the_way([place / COLLECTION], overwrite=overwrite)


def refuse_items(jobs: Sequence[RasterJob], place: AnyPath, *, overwrite: bool) -> None:
    """Refuse to replace what is in the places of the items of sheets, unless that is wanted.

    Raises:
        OutputError: there is such a file; or a folder of its name.
    """
    folder = Path(str(place))
    items = [_item_path(job.target, folder) for job in jobs]
    _refuse_in_the_way(items, overwrite=overwrite)


def write_stac(run: PredictRun, surveys: Sequence[Survey]) -> None:
    """Write an item for each sheet whose outputs are complete, and the collection.

    Raises:
        OutputError: one cannot be written, or an output cannot be read.
    """
    folder, model = Path(str(run.out)), run.settings["model"]
    items = [_item(folder, survey, run) for survey in surveys]
    for item in items:
        _write(folder / item.path, item.to_json(model))
    if items:
        _write(folder / COLLECTION, collection_of(items, model))


def own_documents(folder: Path, surveys: Sequence[Survey]) -> list[Path]:
    """The collection of an earlier run, and the items of these sheets."""
    items = [_item_path(survey.job.target, folder) for survey in surveys]
    return [path for path in (folder / COLLECTION, *items) if _is_own(path)]


def _refuse_in_the_way(documents: Sequence[Path], *, overwrite: bool) -> None:
    refuse_folders(documents)
    for path in documents:
        if not overwrite and path.exists() and not _is_own(path):
            raise OutputError(
                f"{path} exists and was not written by geoseg predict; use --overwrite to replace "
                "it, or choose another --out"
            )


def _is_own(path: Path) -> bool:
    """Whether there is a collection of geoseg's, or an item of one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    is_object = isinstance(document, dict) and "stac_version" in document
    return is_object and document.get("collection", document.get("id")) == COLLECTION_ID


def _item_path(target: AnyPath, folder: Path) -> Path:
    """Where the item of a sheet lies; no sheet takes the name of a file of the run."""
    path = Path(f"{target}.json")
    return Path(f"{target}.stac.json") if path in (folder / REPORT, folder / COLLECTION) else path


def _write(path: Path, document: dict[str, Any]) -> None:
    write_text(path, json.dumps(document, indent=2) + "\n")


def _item(folder: Path, survey: Survey, run: PredictRun) -> Item:
    job, source = survey.job, survey.job.source
    shown = source.extent
    transform = place_of(source.transform, shown)
    path = _item_path(job.target, folder)
    corners = shapely.segmentize(
        shapely.box(0, 0, shown.width, shown.height), max(shown.height, shown.width) / _STEP
    )
    footprint = to_longitude_latitude(corners, transform, source.crs)
    below = path.relative_to(folder).as_posix()
    assets = dict(_assets(path.parent, survey, run))
    return Item(
        below.removesuffix(".json").replace("/", "__"),
        below,
        footprint,
        _time_of(source.files),
        source.crs,
        (shown.height, shown.width),
        tuple(transform)[:6],
        [relative_name(file, path.parent) for file in source.files],
        assets,
    )


def _assets(folder: Path, survey: Survey, run: PredictRun) -> Iterator[tuple[str, Asset]]:
    classes = run.model.card.classes
    counts: dict[str, int] = {}
    for output in survey.outputs:
        is_raster = output.kind in RASTERS
        layer = layer_of(output.kind, classes) if is_raster else None
        kind = output.kind if is_raster or output.kind == "preview" else f"polygons_{output.kind}"
        for file in _files(output, survey):
            number = counts[kind] = counts.get(kind, 0) + 1
            name = kind if number == 1 else f"{kind}_{number}"
            size, digest = _digest(file)
            role = _ROLES.get(output.kind, "data")
            title = kind.replace("_", " ")
            yield name, Asset(relative_name(file, folder), title, role, size, digest, layer)


def _files(output: Output, survey: Survey) -> list[Path]:
    """The file, or an index and the squares that it is over."""
    squares = [output.file(area) for area in output.areas(survey.job.source)] if output.side else []
    return [Path(str(path)) for path in (output.path, *squares)]


def _digest(file: Path) -> tuple[int, str]:
    """Bytes of a file, and their SHA-256."""
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            return os.fstat(stream.fileno()).st_size, digest.hexdigest()
    except OSError as error:
        raise OutputError(f"{file}: cannot be read for its checksum ({error.strerror})") from error


def _time_of(files: Sequence[Path]) -> datetime:
    """When the imagery was last changed: files seldom say when it was taken."""
    newest = max(map(changed_at, files))
    return datetime.fromtimestamp(newest, UTC)
