"""Polygons of class rasters on disk.

The story: check every raster; read each part by part; polygonize, join parts, stream to one file.
Of several rasters, layers are made at once and written in their order.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import rasterio

from geoseg.errors import ConfigError, OutputError, SourceError
from geoseg.failures import LOG, begun, failure_line, naming_the_rest, per_input
from geoseg.files import temporary_folder
from geoseg.foreign import with_allow_remote
from geoseg.given import given_path, given_paths
from geoseg.inference.class_raster import ClassRaster, MadeLayer, layers_at_once
from geoseg.inference.merged_layer import merged_raster
from geoseg.inference.option_values import flag, refuse_unknown, words
from geoseg.locks import lock_file
from geoseg.places import existing_files, refuse_folders
from geoseg.prefetch import look_ahead
from geoseg.raster import (
    OverlapRule,
    SeenSource,
    every_class,
    open_bytes,
    open_confidence,
    opened_once,
)
from geoseg.raster.path_list import expand_lists
from geoseg.remote import source_path
from geoseg.report import Report, counted, nothing_usable
from geoseg.unwritable import naming_file
from geoseg.vector import (
    Cleaning,
    check_attributes,
    feature_tables,
    format_of,
    no_crs,
    read_vector_fingerprint,
    refuse_folder,
    write_tables,
)

PathLike = str | os.PathLike[str]

_WITHOUT = " without "
"""In the fingerprint of a file, before the layers that could not be made."""

_CACHE = 128 * 2**20
"""Of decoded blocks; GDAL would take 5 % of the machine's memory."""


@with_allow_remote
def run(
    rasters: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    confidence: PathLike | None = None,
    attributes: str | Sequence[str] | None = None,
    merge: bool = False,
    overlap_rule: OverlapRule = "first",
    overwrite: bool = False,
    **cleaning: Any,
) -> Report:
    """Polygonize class rasters of any size into one file.

    Args:
        rasters: uint8 rasters of one band, or lists of them: class ids 0..253; nodata, 254 and 255
            make no polygon. Class names are category names. Several become layers, named by stems.
        out: ``.gpkg``, ``.shp``, ``.fgb``, ``.parquet``, ``.geojson`` or ``.geojsonl``.
        confidence: uint8 raster of the same grid, 255 times the probability of the label.
        attributes: of polygons, besides those that all have: ``perimeter_m``, ``color``.
        merge: make one layer of several rasters on one grid, as of one raster.
        overlap_rule: which of two merged rasters is on top; see `geoseg.open_mosaic`.
        overwrite: replace a file that was made from something else.
        cleaning: how the polygons are cleaned; see `Cleaning.from_options`.

    Returns:
        What was written. `exit_code` is 1 where some rasters were refused.

    Raises:
        ConfigError: an option is wrong, or no raster can be used; nothing was started.
        SourceError: the only raster turns out to be damaged; nothing was written.
        OutputError: `out` cannot be written, or another file exists there.
    """
    started = time.perf_counter()
    paths = expand_lists(map(source_path, given_paths("rasters", rasters)))
    target = Path(given_path("out", out))
    further = words("attributes", attributes)
    check_attributes(further)
    refuse_unknown(cleaning, [each.name for each in fields(Cleaning)])
    flags = {"merge": merge, "overwrite": overwrite, "smooth": cleaning.get("smooth", False)}
    for name, given in flags.items():
        flag(name, given)
    _check_options(paths, target, confidence, merge=merge, overlap_rule=overlap_rule)
    clean = Cleaning.from_options(**cleaning)
    one = merge or len(paths) == 1
    layers = [target.stem] if one else [path.stem for path in paths]
    beside = None if confidence is None else source_path(given_path("confidence", confidence))
    look = partial(_look, target=target, confidence=beside, attributes=further, cleaning=clean)
    usable, failures = _usable(paths, look)
    if merge:
        jobs = {target.stem: merged_raster([*usable.values()], overlap_rule)}
    else:
        named = zip(layers, paths, strict=True)
        jobs = {name: usable[path] for name, path in named if path in usable}
    warnings = [line for job in jobs.values() for line in job.labels.warnings]
    facts: dict[str, Any] = {"output": str(target), "failures": failures, "warnings": warnings}
    refuse_folders(existing_files(target, format_of(target).companions))
    with lock_file(target):
        if not overwrite and _is_made(target, jobs, layers):
            kept = f"{target} exists already, made from the same"
            return Report(kept, {**facts, "kept": True}, int(bool(failures)))
        with begun():
            made = _write_readable(jobs, layers, target, failures)
    warnings += [line for job in jobs.values() for line in job.warnings()]
    polygons = sum(entry["polygons"] for entry in made)
    seconds = time.perf_counter() - started
    count = counted(len(usable if merge else jobs), "raster")
    text = f"{polygons:,} polygons of {count} in {target} ({seconds:.1f} s)"
    facts |= {"kept": False, "layers": made, "seconds": seconds}
    return Report(text, facts, int(bool(failures)))


def _is_made(target: Path, jobs: Mapping[str, ClassRaster], layers: Sequence[str]) -> bool:
    """Whether the file exists as it would be made of the jobs.

    Raises:
        OutputError: something else is in its place, not even the same without some of the layers.
    """
    found = existing_files(target, format_of(target).companions)
    if not found:
        return False
    stated = read_vector_fingerprint(target) if found[0] == target else None
    if stated == _fingerprint(jobs, layers):
        return True
    _, _, left_out = (stated or "").partition(_WITHOUT)
    readable = {name: job for name, job in jobs.items() if json.dumps(name) not in left_out}
    if left_out and stated == _fingerprint(readable, layers):
        return False  # what was damaged may be repaired now
    raise OutputError(
        f"{found[0]} exists and was made from something else (or not by geoseg); "
        "use --overwrite or another --out"
    )


def _write_readable(
    jobs: dict[str, ClassRaster], layers: Sequence[str], target: Path, failures: list[str]
) -> list[dict[str, Any]]:
    """Write a layer of each raster that can be read to its end; what each layer is.

    Where rasters turn out to be damaged, they are noted and the file is begun again without them:
    half a layer cannot be taken out of a file.

    Raises:
        ConfigError: all of several are.
    """
    while True:
        begun_layers: list[str] = []
        failed: dict[str, Exception] = {}
        try:
            return _write(jobs, layers, target, begun_layers, failed)
        except OutputError:  # of the file that all layers go to
            waiting = [str(jobs[name].labels.path) for name in jobs if name not in begun_layers]
            with naming_the_rest(waiting, failures):
                raise
        except Exception as error:
            if len(jobs) == 1 or not begun_layers:
                raise
            for name, reason in (failed or {begun_layers[-1]: error}).items():
                path = jobs.pop(name).labels.path
                LOG.debug("%s", path, exc_info=reason)
                failures.append(failure_line(path, reason))
            if not jobs:
                raise nothing_usable(failures) from error


def _write(
    jobs: Mapping[str, ClassRaster],
    layers: Sequence[str],
    target: Path,
    begun_layers: list[str],
    failed: dict[str, Exception],
) -> list[dict[str, Any]]:
    """Write a layer of each raster, by its name; the lists get names and errors as they come."""
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE))
        if len(jobs) == 1:  # waits for no other, so it is written as it is made
            made = _one(jobs, begun_layers)
        else:
            with naming_file(target):
                folder = stack.enter_context(temporary_folder(target))
            made = stack.enter_context(closing(layers_at_once(jobs, folder, begun_layers, failed)))
        counts = write_tables(made, {target: _fingerprint(jobs, layers)})
    return [
        {"raster": str(job.labels.path), "layer": name, "polygons": count}
        for (name, job), count in zip(jobs.items(), counts, strict=True)
    ]


def _one(jobs: Mapping[str, ClassRaster], begun_layers: list[str]) -> Iterator[MadeLayer]:
    """The layer of a raster, which is made while it is consumed."""
    for name, job in jobs.items():
        begun_layers.append(name)
        layer = job.layer(name)
        yield layer, feature_tables(layer)


def _check_options(
    paths: Sequence[Path],
    target: Path,
    confidence: PathLike | None,
    *,
    merge: bool,
    overlap_rule: OverlapRule,
) -> None:
    if overlap_rule != "first" and not merge:
        raise ConfigError("overlap_rule is about merged rasters; give merge too")
    if not paths:
        raise ConfigError("no raster given; name at least one class raster")
    kind = format_of(target)
    refuse_folder(target)
    if len(paths) == 1:
        return
    if not kind.several_layers and not merge:
        raise ConfigError(
            f"{target} holds one layer, {len(paths)} rasters are given; "
            "vectorize one at a time, or write a .gpkg, or give merge for one layer of all"
        )
    if confidence is not None:
        raise ConfigError(
            f"--confidence goes with one raster, {len(paths)} are given; vectorize one at a time"
        )
    if merge:
        return
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise ConfigError(
                f"{other} and {path} would both become layer {path.stem!r}; "
                "vectorize them separately"
            )


def _usable(
    paths: Iterable[Path], look: Callable[[Path], ClassRaster]
) -> tuple[dict[Path, ClassRaster], list[str]]:
    """The rasters that can be used, and why the others cannot.

    Raises:
        ConfigError: none can be used.
    """
    jobs: dict[Path, ClassRaster] = {}
    failures: list[str] = []
    for path, job in zip(paths, look_ahead(look, paths), strict=True):
        with per_input(path, failures.append):
            jobs[path] = job.result()
    if not jobs:
        raise ConfigError("\n".join(failures))
    return jobs, failures


def _look(
    path: Path,
    target: Path,
    confidence: Path | None,
    attributes: Sequence[str],
    cleaning: Cleaning,
) -> ClassRaster:
    """A raster, checked."""
    with opened_once(path):
        seen = [SeenSource.at(each) for each in (path, confidence) if each is not None]
        labels = open_bytes(path, "class ids 0..253 (255 is nodata)")
        beside = None if confidence is None else open_confidence(confidence, labels)
        if labels.crs is None and format_of(target).needs_crs:
            raise SourceError(no_crs(path, target.suffix))
        classes = every_class(path)
        cleaning.refuse_unknown(classes.names)
        cleaning.refuse_unmeasurable(path, labels.crs)
        return ClassRaster(labels, beside, classes, attributes, seen, cleaning)


def _fingerprint(jobs: Mapping[str, ClassRaster], layers: Sequence[str]) -> str:
    """What the output is made from, and which of the layers it lacks."""
    digest = hashlib.sha256(b"vectorize 3")
    for job in jobs.values():
        digest.update(job.content)
    left_out = [name for name in layers if name not in jobs]
    return digest.hexdigest() + (_WITHOUT + json.dumps(left_out) if left_out else "")
