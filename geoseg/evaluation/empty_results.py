"""Warnings where an evaluation has nothing to say of what it was asked about."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.evaluation.scoring import Verdict
from geoseg.metrics import Protocol
from geoseg.vector.read import SUFFIXES


def hollow_pairs(judged: Sequence[Verdict]) -> list[str]:
    """A line about each pair without a pixel that could be right."""
    lines = []
    for entry in judged:
        counts, pair = entry.confusion, entry.pair
        if counts.matrix.any():
            continue
        if counts.missed.any():
            lines.append(
                f"{pair.predicted.path}: predicts nothing where {pair.reference.path} has labels"
            )
        else:
            lines.append(f"{pair.reference.path}: has no labelled pixel to judge by")
    return lines


def hollow_objects(
    judged: Sequence[Verdict], protocol: Protocol, names: Sequence[str]
) -> list[str]:
    """A line about each file of objects of which none counts; one file may hold those of many tiles."""
    lines = []
    for path in dict.fromkeys(entry.pair.objects for entry in judged):
        found = [
            entry.objects
            for entry in judged
            if entry.pair.objects == path and entry.objects is not None
        ]
        references = [
            entry.pair.reference.path.name for entry in judged if entry.pair.objects == path
        ]
        where = references[0] + (
            f" or of {len(references) - 1} more" if len(references) > 1 else ""
        )
        if path is None or any(
            objects.among(protocol.in_mean(names)).iou.size for objects in found
        ):
            continue
        if any(objects.iou.size for objects in found):
            lines.append(
                f"{path}: none of its objects is of a class that enters the mean, so there is no mS-IoU of it"
            )
        else:
            mend = (
                "check both coordinate systems"
                if path.suffix.lower() in SUFFIXES
                else "check the numbers it holds"
            )
            lines.append(f"{path}: none of its objects lies on labelled pixels of {where}; {mend}")
    return lines
