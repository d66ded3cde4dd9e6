"""Figures of class rasters against their references.

The story: pair by tile; open and check every pair; count each in one pass; add up; write figures, plot, table, report.
What fails is named and the others go on; a pair that fails counts nowhere.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import rasterio

import geoseg
from geoseg.classes import ClassScheme
from geoseg.datasets.label_reader import hidden_warnings
from geoseg.datasets.tile_pairing import Files, Pair, objects_by_tile, pair_by_tile, tile_key
from geoseg.errors import ConfigError, GeosegError, SourceError
from geoseg.evaluation.empty_results import hollow_objects, hollow_pairs
from geoseg.evaluation.outputs import write_files
from geoseg.evaluation.scoring import Candidate, Rules, Verdict, already_eroded, check_pair, judge
from geoseg.files import lock_folder
from geoseg.metrics import SCALE_BINS, Protocol, ScaleIoU, figures, find_protocol
from geoseg.metrics.protocol import by_name, number
from geoseg.progress import Progress
from geoseg.report import Report, counted, nothing_usable
from geoseg.vector.read import SUFFIXES
from geoseg.yaml_files import read_classes

PathLike = str | os.PathLike[str]

_ERODED_NAME = re.compile("no_?boundary|eroded", re.IGNORECASE)
"""How the ISPRS benchmark calls files and folders of eroded references."""
_CACHE = 64 * 2**20
"""Of decoded blocks; GDAL would take 5 % of the machine's memory."""


def run(
    predicted: PathLike,
    reference: PathLike,
    classes: PathLike | Sequence[Any] | ClassScheme,
    out: PathLike,
    *,
    protocol: str = "plain",
    erode: int | None = None,
    instances: PathLike | None = None,
    tolerance: int = 3,
    resample: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Judge predictions.

    Args:
        predicted: class rasters as ``predict`` writes them: a file, a folder, or a pattern; see `pair_by_tile`.
        reference: label rasters, of values or colours of the classes; likewise.
        classes: a classes file, ``isprs``, ``cityscapes``, the content of a classes file, or a scheme.
        out: folder for ``metrics.json``, ``classes.csv``, ``confusion.png``, ``report.html``; older ones are replaced.
        protocol: one of `geoseg.metrics.PROTOCOLS`.
        erode: radius in pixels by which the reference is eroded; the protocol's by default.
        instances: objects for the scale-sensitive IoU: a raster of numbers, Cityscapes' ``instanceIds``, polygons, or a
            folder or pattern of such, by tile.
        tolerance: of boundary F1, in pixels.
        resample: bring predictions on another grid to the reference's, by the nearest pixel.
        progress: who listens; nobody by default.

    Returns:
        The figures, as in ``metrics.json``. `exit_code` is 1 where some files were left out.

    Raises:
        ConfigError: an option is wrong, or no pair can be used.
        OutputError: the output folder cannot be written, or another run writes into it.
    """
    started = time.perf_counter()
    listener = progress or Progress()
    scheme = classes if isinstance(classes, ClassScheme) else read_classes(_plain(classes))
    chosen = find_protocol(protocol)
    chosen.check(scheme.names)
    for option, given in (("--erode", erode), ("--tolerance", tolerance)):
        if given is not None and given < 0:
            raise ConfigError(f"{option} {given}: give a radius in pixels, 0 or more")
    radius = chosen.erode if erode is None else erode
    rules = Rules(scheme, radius, erode is None and radius > 0, tolerance, resample)
    pairs, failures = pair_by_tile(os.fspath(predicted), os.fspath(reference))
    objects = None if instances is None else objects_by_tile(os.fspath(instances))
    if objects == {}:
        raise ConfigError(
            f"--instances {instances}: no such files; give a raster, polygons, or a folder of them"
        )
    candidates = _checked(pairs, objects, rules, failures)
    if not candidates:
        raise nothing_usable(failures)
    with lock_folder(Path(out)):
        judged = _judged(candidates, rules, failures, listener)
        if not judged:
            raise nothing_usable(failures)
        data = _data(judged, rules, chosen) | {
            "warnings": [
                *(line for entry in judged for line in entry.pair.warnings),
                *hidden_warnings((entry.pair.reference for entry in judged), scheme),
                *hollow_pairs(judged),
                *hollow_objects(judged, chosen, scheme.names),
            ],
            "failures": failures,
            "seconds": round(time.perf_counter() - started, 3),
        }
        with rasterio.Env(GDAL_CACHEMAX=_CACHE):
            write_files(Path(out), data, judged, rules)
    return Report(_text(data, Path(out)), data, int(bool(failures)))


def _plain(classes: Any) -> Any:
    return os.fspath(classes) if isinstance(classes, os.PathLike) else classes


def _checked(
    pairs: Sequence[Pair], objects: Files | None, rules: Rules, failures: list[str]
) -> list[Candidate]:
    """The pairs that can be used; why the others cannot is added to `failures`."""
    usable = []
    for pair in pairs:
        try:
            if rules.refuse_eroded and (
                told := _ERODED_NAME.search(f"{pair.reference.parent.name}/{pair.reference.name}")
            ):
                raise SourceError(
                    already_eroded(pair.reference, f"its name says {told[0]!r}", rules.erode)
                )
            own = None if objects is None else _objects_of(pair, objects, alone=len(pairs) == 1)
            usable.append(check_pair(pair.tile, pair.predicted, pair.reference, own, rules))
        except GeosegError as error:
            failures.append(_one_line(error))
    return usable


def _objects_of(pair: Pair, objects: Files, *, alone: bool) -> Path:
    """The objects of a tile. One vector file is for all tiles; one raster is for the only pair."""
    all_files = list(dict.fromkeys(path for files in objects.values() for path in files))
    if len(all_files) == 1 and (alone or all_files[0].suffix.lower() in SUFFIXES):
        return all_files[0]
    tile = tile_key(pair.reference)
    found = objects.get(tile, [])
    chosen = (
        found if len(found) == 1 else [path for path in found if path.stem.endswith("_instanceIds")]
    )
    if len(chosen) != 1:
        raise SourceError(
            f"{pair.reference}: {'several' if found else 'no'} files of objects for tile {tile}; "
            "give one a tile with --instances, as a pattern where there are more"
        )
    return chosen[0]


def _judged(
    candidates: Sequence[Candidate], rules: Rules, failures: list[str], listener: Progress
) -> list[Verdict]:
    judged = []
    listener.begin("evaluate", len(candidates))
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        for pair in candidates:
            try:
                judged.append(judge(pair, rules))
            except GeosegError as error:
                failures.append(_one_line(error))
            listener.advance(1)
    listener.end()
    return judged


def _data(judged: Sequence[Verdict], rules: Rules, protocol: Protocol) -> dict[str, Any]:
    """The content of ``metrics.json``."""
    names = rules.scheme.names
    confusion = reduce(add, (entry.confusion for entry in judged))
    boundary = reduce(add, (entry.boundary for entry in judged))
    in_mean = protocol.in_mean(names)
    traced = in_mean & (boundary.reference_pixels > 0)
    data = figures(confusion, protocol, names)
    data |= {
        "geoseg": geoseg.__version__,
        "about_protocol": protocol.about,
        "erode": rules.erode,
        "boundary_f1": by_name(names, boundary.f1),
        "mean_boundary_f1": number(float(boundary.f1[traced].mean())) if traced.any() else None,
        "boundary_tolerance": rules.tolerance,
    }
    found = [entry.objects for entry in judged if entry.objects is not None]
    if found:
        data["scale_iou"] = _by_scale(reduce(add, found).among(in_mean))
    data["files"] = [_file_row(entry, protocol, names) for entry in judged]
    return data


def _by_scale(objects: ScaleIoU) -> dict[str, Any]:
    ends = (*SCALE_BINS[1:], None)
    return {
        "objects": int(objects.iou.size),
        "mean": number(objects.mean),
        "bins": [
            {"from": first, "to": end, "objects": count, "mean": number(mean)}
            for first, end, (count, mean) in zip(SCALE_BINS, ends, objects.by_scale(), strict=True)
        ],
    }


def _file_row(entry: Verdict, protocol: Protocol, names: Sequence[str]) -> dict[str, Any]:
    told = figures(entry.confusion, protocol, names)
    return {
        "tile": entry.pair.tile,
        "predicted": str(entry.pair.predicted.path),
        "reference": str(entry.pair.reference.path),
        "resampled": entry.pair.resampled,
        **{
            key: told[key]
            for key in ("pixels", "overall_accuracy", "mean_iou", "mean_f1", "absent_classes")
        },
    }


def _text(data: dict[str, Any], folder: Path) -> str:
    scales = data.get("scale_iou")
    lines = [
        f"{counted(len(data['files']), 'pair')}, protocol {data['protocol']}, reference eroded by {data['erode']} px",
        f"mean IoU {percent(data['mean_iou'])}, mean F1 {percent(data['mean_f1'])} over {len(data['classes_in_mean'])} "
        f"of {len(data['classes'])} classes; overall accuracy {percent(data['overall_accuracy'])}",
    ]
    if data["absent_classes"]:
        lines.append(f"not in the reference, so in no mean: {', '.join(data['absent_classes'])}")
    if scales:
        told = ", ".join(
            f"from {part['from']} px {percent(part['mean'])} ({part['objects']})"
            for part in scales["bins"]
        )
        lines.append(f"mS-IoU {percent(scales['mean'])} of {scales['objects']} objects: {told}")
    return "\n".join([*lines, f"{folder / 'report.html'}"])


def percent(figure: float | None) -> str:
    """A share for a person to read."""
    return "none" if figure is None else f"{100 * figure:.2f} %"


def _one_line(error: GeosegError) -> str:
    return " ".join(str(error).split())
