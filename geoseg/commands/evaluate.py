"""Metrics of class rasters against their references.

The story: pair files by tile; open and check every pair; score each in one pass; add up; write
metrics, plot, table and report. What fails is named and the others continue; a pair that fails
counts nowhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import rasterio

from geoseg.classes import ClassScheme
from geoseg.datasets.class_files import read_classes
from geoseg.datasets.drawn_features import feature_counts, feature_warnings
from geoseg.datasets.file_keys import Files, is_vector, unseen
from geoseg.datasets.pairing import Pair, describe_unpaired, objects_by_tile, pair_files
from geoseg.datasets.raster_labels import nodata_warnings
from geoseg.errors import ConfigError
from geoseg.evaluation.error_files import (
    error_rasters,
    refuse_foreign_errors,
    remove_former_errors,
    write_errors,
)
from geoseg.evaluation.imagery import Imagery, given_images, refuse_idle_images
from geoseg.evaluation.largest_errors import draw_largest_errors
from geoseg.evaluation.outputs import refuse_foreign_files, write_outputs
from geoseg.evaluation.pairs import RasterPair, ScoringOptions, open_pairs
from geoseg.evaluation.results import describe, summarize_scores, warn_of_empty_results
from geoseg.evaluation.scoring import PairScore, score_pairs
from geoseg.failures import begun, naming_the_rest
from geoseg.foreign import with_allow_remote
from geoseg.given import given_path, path_text
from geoseg.locks import lock_folder
from geoseg.metrics import Protocol, find_protocol
from geoseg.progress import Progress
from geoseg.raster import GDAL_CACHE_BYTES, Source, shared_notes
from geoseg.report import Report, nothing_usable

PathLike = str | os.PathLike[str]


@with_allow_remote
def run(
    predicted: PathLike,
    reference: PathLike,
    classes: PathLike | Sequence[Any] | ClassScheme,
    out: PathLike,
    *,
    protocol: str = "plain",
    erode: int | None = None,
    attribute: str | None = None,
    layer: str | None = None,
    instances: PathLike | None = None,
    tolerance: int = 3,
    resample: bool = False,
    errors: bool = False,
    images: PathLike | None = None,
    progress: Progress | None = None,
) -> Report:
    """Score predictions.

    Args:
        predicted: class rasters as ``predict`` writes them: a file, a folder, or a pattern; see
            `pair_files`.
        reference: label rasters, of values or colours of the classes; likewise. Or polygons, one
            file for all predictions or one each.
        classes: a classes file, ``isprs``, ``cityscapes``, the content of a classes file, or a
            scheme.
        out: folder for ``metrics.json``, ``classes.csv``, ``confusion.png``, ``report.html``; older
            ones are replaced.
        protocol: one of `geoseg.metrics.PROTOCOLS`.
        erode: radius in pixels by which the reference is eroded; the protocol's by default.
        attribute: of references that are polygons, that holds the name or value of a class; else
            all are of the one class besides ``background``.
        layer: of polygons, where a file has several.
        instances: objects for the scale-sensitive IoU: a raster of numbers, Cityscapes'
            ``instanceIds``, polygons, or a folder or pattern of such, by tile.
        tolerance: of boundary F1, in pixels.
        resample: bring predictions on another grid to the reference's, by the nearest pixel.
        errors: also write an error raster of each pair (``<stem>_errors.tif``, below `out` as the
            prediction lies below `predicted`), and ``errors.gpkg``: the largest wrong regions.
        images: imagery for the pictures of ``report.html``: a file, a folder or a pattern, by tile;
            by default what the ``report.json`` of ``predict`` beside the predictions names.
        progress: is informed of what happens; by default a bar in notebooks and terminals.

    Returns:
        The metrics, as in ``metrics.json``. `exit_code` is 1 where some files were left out.

    Raises:
        ConfigError: an option is wrong, or no pair can be used.
        OutputError: the output folder cannot be written, or another run writes into it.
    """
    started = time.perf_counter()
    rules = find_protocol(protocol)
    options = replace(
        _check_options(classes, rules.erode, erode, tolerance, resample),
        attribute=attribute,
        layer=layer,
    )
    rules.check(options.scheme.names)
    named = given_images(images)
    pairs, failures = _open_all(predicted, reference, instances, options)
    refuse_idle_images(named, pairs)
    folder, progress = Path(given_path("out", out)), progress or Progress()
    rasters = error_rasters(pairs, os.fspath(predicted), folder) if errors else {}
    with lock_folder(folder), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        refuse_foreign_files(folder)
        refuse_foreign_errors(rasters, folder)
        scores, failed = score_pairs(pairs, options, progress)
        failures += failed
        if not scores:
            raise nothing_usable(failures)
        data = _summary(scores, options, rules) | {"failures": failures}
        with begun(), naming_the_rest((), failures):
            if errors:
                data["errors"] = write_errors(scores, rasters, folder, options, progress)
            imagery = Imagery(named, only_pair=len(pairs) == 1)
            cells = draw_largest_errors(scores, options, imagery)
            data["notes"] = imagery.notes
            data["warnings"] += [] if named is None else imagery.notes
            data["seconds"] = round(time.perf_counter() - started, 3)
            remove_former_errors(folder, rasters)
            write_outputs(folder, data, cells, options.scheme)
    return Report(describe(data, folder), data, int(bool(failures)))


def _summary(
    scores: Sequence[PairScore], options: ScoringOptions, rules: Protocol
) -> dict[str, Any]:
    """The metrics of all pairs together, what was read of label files, and the warnings."""
    references = [score.drawn for score in scores if score.drawn is not None]
    objects = [score.objects for score in scores if score.objects is not None]
    warnings = [
        *_input_warnings([score.pair for score in scores], options.scheme),
        *feature_warnings(references),
        *dict.fromkeys(line for one in objects for line in one.warnings),
        *warn_of_empty_results(scores, rules, options.scheme.names),
    ]
    return {
        **summarize_scores(scores, options, rules),
        "label_files": feature_counts([*references, *objects]),
        "warnings": warnings,
    }


def _input_warnings(pairs: Sequence[RasterPair], scheme: ClassScheme) -> list[str]:
    labels = [pair.labels for pair in pairs if isinstance(pair.labels, Source)]
    return [
        *(warning for pair in pairs for warning in pair.warnings),
        *shared_notes(pair.predicted for pair in pairs),
        *shared_notes(labels),
        *nodata_warnings(labels, scheme),
    ]


def _check_options(
    classes: Any, protocol_erode: int, erode: int | None, tolerance: int, resample: bool
) -> ScoringOptions:
    for option, radius in (("--erode", erode), ("--tolerance", tolerance)):
        if radius is not None and radius < 0:
            raise ConfigError(f"{option} {radius}: give a radius in pixels, 0 or more")
    if not isinstance(classes, ClassScheme):
        classes = read_classes(os.fspath(classes) if isinstance(classes, os.PathLike) else classes)
    # A radius that was given is meant; otherwise no reference is eroded a second time.
    return ScoringOptions(
        scheme=classes,
        erode=protocol_erode if erode is None else erode,
        refuse_eroded=erode is None and protocol_erode > 0,
        tolerance=tolerance,
        resample=resample,
    )


def _open_all(
    predicted: PathLike, reference: PathLike, instances: PathLike | None, options: ScoringOptions
) -> tuple[list[RasterPair], list[str]]:
    """The pairs that can be scored, and why other files cannot."""
    sides = path_text("predicted", predicted), path_text("reference", reference)
    pairing = pair_files(*sides)
    unpaired = describe_unpaired(pairing, *sides, names=("prediction", "reference"))
    objects = None if instances is None else objects_by_tile(path_text("instances", instances))
    if objects == {}:
        raise ConfigError(
            f"--instances {instances}: no such files; give a raster, polygons, or a folder of them"
        )
    _refuse_idle_options(pairing.pairs, objects, options)
    pairs, refused = open_pairs(pairing.pairs, objects, options)
    failures = [*unseen(*sides), *pairing.ambiguous, *unpaired, *refused]
    if not pairs:
        raise nothing_usable(failures)
    return pairs, failures


def _refuse_idle_options(
    pairs: Sequence[Pair], objects: Files | None, options: ScoringOptions
) -> None:
    """Refuse options of polygons where all files are rasters."""
    references = any(is_vector(pair.labels) for pair in pairs)
    instances = any(is_vector(path) for files in (objects or {}).values() for path in files)
    for option, given, used in (
        ("--attribute", options.attribute, references),
        ("--layer", options.layer, references or instances),
    ):
        if given is not None and not used:
            raise ConfigError(
                f"{option} {given}: goes with polygons, and the labels are rasters; leave it out"
            )
