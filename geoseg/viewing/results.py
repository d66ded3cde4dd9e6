"""What a run has left to show: the files that its report names, wherever the folder is now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from geoseg.errors import ConfigError
from geoseg.raster import find_sources
from geoseg.remote import RemotePath, source_path

REPORT = "report.json"
_POLYGONS = ("gpkg", "fgb", "shp", "geojson")
"""Formats that are shown, those with an index first."""


@dataclass(frozen=True, slots=True)
class Results:
    """The files of a run."""

    classes: list[Path]
    """Class rasters; at least one."""
    confidence: list[Path] = field(default_factory=list)
    imagery: list[Path] = field(default_factory=list)
    polygons: list[Path] = field(default_factory=list)
    uncertain: bool = False
    """Whether any pixel is."""
    crs: str | None = None
    """Of imagery that declares none, as the run was told."""
    lines: list[str] = field(default_factory=list)
    """What is not shown, and why."""


def read_results(folder: Path) -> Results:
    """The files of the run that wrote into a folder last.

    Raises:
        ConfigError: the folder holds no report of ``geoseg predict``, or nothing that is done.
    """
    report = _report(folder)
    done = [entry for entry in report["inputs"] if entry.get("outputs")]
    if not done:
        raise ConfigError(f"{folder}: the run has finished no input; see {folder / REPORT}")
    lines: list[str] = []

    def found(kind: str) -> list[Path]:
        names = [name for entry in done for name in _names(entry["outputs"].get(kind))]
        placed = {name: _in_folder(folder, name) for name in names}
        lines.extend(f"{name}: is not there any more" for name, at in placed.items() if at is None)
        return [at for at in placed.values() if at is not None]

    classes = found("classes")
    if not classes:
        raise ConfigError(f"{folder}: no class raster that {REPORT} names is there; run it again")
    options = report.get("options", {})
    polygons = next(filter(None, map(found, _POLYGONS)), [])
    if options.get("merge"):
        formats = [kind for kind in _POLYGONS if kind in options.get("vectors", ())]
        polygons = [path for kind in formats[:1] for path in folder.glob(f"*_polygons.{kind}")]
    if not polygons and options.get("vectors"):
        lines.append(f"no polygons are there in a format that is shown: {', '.join(_POLYGONS)}")
    imagery = list(_imagery(folder, [entry["path"] for entry in done], lines))
    return Results(
        classes,
        found("confidence"),
        imagery,
        polygons,
        uncertain=any(entry.get("uncertain_pixels") for entry in done),
        crs=options.get("crs"),
        lines=lines,
    )


def _report(folder: Path) -> Mapping[str, Any]:
    path = folder / REPORT
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = "holds no report.json" if folder.is_dir() else "no such folder"
        raise ConfigError(f"{folder}: {what}; give the --out of a geoseg predict") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); make it readable") from error
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read ({error}); run geoseg predict again") from error
    if not isinstance(report, dict) or not {"geoseg", "inputs"} <= report.keys():
        raise ConfigError(f"{path}: is no report of geoseg predict; give the --out of one")
    return report


def _names(outputs: str | list[str] | None) -> list[str]:
    return [outputs] if isinstance(outputs, str) else list(outputs or ())


def _in_folder(folder: Path, name: str) -> Path | None:
    """A file that a report names, in the folder where the report is; None where it is gone.

    The report has the path as it was written to: the folder may have been moved, and names of it
    may count from another place. The longest end of the path that is there is the file.
    """
    whole = PurePath(name)
    parts = [part for part in whole.parts if part not in ("..", whole.anchor)]
    ends = (folder.joinpath(*parts[first:]) for first in range(len(parts)))
    return next((path for path in ends if path.is_file()), None)


def _imagery(folder: Path, names: Iterable[str], lines: list[str]) -> Iterator[Path]:
    """The inputs that are still there: files, or the sheets in a folder."""
    for name in names:
        path = source_path(name)
        if isinstance(path, RemotePath):
            lines.append(f"{name}: imagery on servers is not shown")
            continue
        places = [path] if path.is_absolute() else [path, folder.absolute().parent / path]
        there = [place for place in places if place.exists()]
        if not there:
            lines.append(f"{name}: the imagery is not there any more")
        yield from (each.path for each in find_sources(there[:1]).sources)
