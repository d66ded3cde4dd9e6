"""The result of an evaluation: the content of ``metrics.json``, warnings, lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import geoseg
from geoseg.datasets.file_keys import is_vector
from geoseg.evaluation.pairs import ScoringOptions
from geoseg.evaluation.scoring import PairScore
from geoseg.metrics import SCALE_BINS, InstanceIoU, Protocol, by_class, summarize
from geoseg.metrics.protocol import nan_to_none
from geoseg.report import counted, shorten

_FILE_METRICS = ("pixels", "overall_accuracy", "mean_iou", "mean_f1", "absent_classes")


def summarize_scores(
    scores: Sequence[PairScore], options: ScoringOptions, protocol: Protocol
) -> dict[str, Any]:
    """All metrics over the pixels of all pairs, and the most important ones of each pair.

    Args:
        scores: at least one.
        options: how the pairs were scored.
        protocol: which classes enter the means.
    """
    names = options.scheme.names
    in_mean = protocol.in_mean(names)
    confusion = reduce(add, (score.confusion for score in scores))
    boundary = reduce(add, (score.boundary for score in scores))
    with_boundary = in_mean & (boundary.reference_pixels > 0)
    mean_boundary_f1 = float(boundary.f1[with_boundary].mean()) if with_boundary.any() else None
    data = summarize(confusion, protocol, names) | {
        "geoseg": geoseg.__version__,
        "about_protocol": protocol.description,
        "erode": options.erode,
        "boundary_f1": by_class(names, boundary.f1),
        "mean_boundary_f1": mean_boundary_f1,
        "boundary_tolerance": options.tolerance,
    }
    instances = [score.instances for score in scores if score.instances is not None]
    if instances:
        data["scale_iou"] = _summarize_instances(reduce(add, instances).of_classes(in_mean))
    data["files"] = [_summarize_pair(score, protocol, names) for score in scores]
    return data


def warn_of_empty_results(
    scores: Sequence[PairScore], protocol: Protocol, names: Sequence[str]
) -> list[str]:
    """A line about each pair without a pixel that could be right, and file without an object."""
    warnings = []
    for score in scores:
        predicted, reference = score.pair.predicted.path, score.pair.labels.path
        if score.confusion.matrix.any():
            continue
        if score.confusion.missed.any():
            warnings.append(f"{predicted}: predicts nothing where {reference} has labels")
        else:
            warnings.append(f"{reference}: has no labelled pixel to compare with")
    files: dict[Path, list[PairScore]] = {}  # one file may hold the objects of many tiles
    for score in scores:
        if score.pair.instances is not None:
            files.setdefault(score.pair.instances, []).append(score)
    for path, own_scores in files.items():
        warnings += _warn_of_no_object(path, own_scores, protocol.in_mean(names))
    return warnings


def describe(data: dict[str, Any], folder: Path) -> str:
    """The most important metrics, for people to read."""
    accuracy, iou, f1 = (_percent(data[key]) for key in ("overall_accuracy", "mean_iou", "mean_f1"))
    lines = [
        f"{counted(len(data['files']), 'pair')}, protocol {data['protocol']}, "
        f"reference eroded by {data['erode']} px",
        f"mean IoU {iou}, mean F1 {f1} over {len(data['classes_in_mean'])} of "
        f"{len(data['classes'])} classes; overall accuracy {accuracy}",
    ]
    if data["absent_classes"]:
        lines.append(f"not in the reference, so in no mean: {shorten(data['absent_classes'], 20)}")
    if "scale_iou" in data:
        scales = data["scale_iou"]
        bins = ", ".join(
            f"from {part['from']} px {_percent(part['mean'])} ({part['objects']})"
            for part in scales["bins"]
        )
        lines.append(f"mS-IoU {_percent(scales['mean'])} of {scales['objects']} objects: {bins}")
    if "errors" in data:
        errors = data["errors"]
        lines.append(
            f"the largest {errors['regions_listed']:,} of {errors['regions']:,} wrong regions: "
            f"{folder / 'errors.gpkg'}"
        )
    return "\n".join([*lines, f"{folder / 'report.html'}"])


def _summarize_instances(instances: InstanceIoU) -> dict[str, Any]:
    ends = (*SCALE_BINS[1:], None)
    bins = [
        {"from": start, "to": end, "objects": count, "mean": nan_to_none(mean)}
        for start, end, (count, mean) in zip(SCALE_BINS, ends, instances.by_scale(), strict=True)
    ]
    mean = nan_to_none(instances.mean)
    return {"objects": int(instances.iou.size), "mean": mean, "bins": bins}


def _summarize_pair(score: PairScore, protocol: Protocol, names: Sequence[str]) -> dict[str, Any]:
    metrics = summarize(score.confusion, protocol, names)
    return {
        "tile": score.pair.tile,
        "predicted": str(score.pair.predicted.path),
        "reference": str(score.pair.labels.path),
        "resampled": score.pair.resampled,
        **{key: metrics[key] for key in _FILE_METRICS},
    }


def _warn_of_no_object(path: Path, scores: Sequence[PairScore], in_mean: Any) -> list[str]:
    found = [score.instances for score in scores if score.instances is not None]
    if any(instances.of_classes(in_mean).iou.size for instances in found):
        return []
    if any(instances.iou.size for instances in found):
        return [
            f"{path}: none of its objects has a class that enters the mean, so there is no "
            "mS-IoU of it"
        ]
    place = scores[0].pair.labels.path.name
    if len(scores) > 1:
        place += f" or of {len(scores) - 1} more"
    remedy = "check both coordinate systems" if is_vector(path) else "check the numbers it holds"
    return [f"{path}: none of its objects lies on labelled pixels of {place}; {remedy}"]


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.2f} %"
