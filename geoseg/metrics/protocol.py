"""Protocols: which classes enter the mean, which pixels the accuracy, and how far to erode.

Published metrics of one data set differ by more through these choices than through the networks,
so each has a name. In all of them a class that the reference never shows stays out of the means
(and is listed), and a pixel with a reference but without a prediction is missed: it costs recall,
IoU and accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import CITYSCAPES
from geoseg.errors import ConfigError
from geoseg.metrics.confusion import ConfusionMatrix, Floats
from geoseg.report import shorten


@dataclass(frozen=True, slots=True)
class Protocol:
    """How metrics are made from counts.

    Classes are given by the beginning of their names, in lower case: data sets write ``clutter``
    and ``Clutter/background`` of the same.
    """

    name: str
    description: str
    """Whose convention it is."""
    erode: int = 0
    """Radius in pixels of the disc by which the reference is eroded."""
    not_in_mean: tuple[str, ...] = ()
    """Classes that stay out of the mean; their pixels enter the accuracy."""
    ignored: tuple[str, ...] = ()
    """Classes whose reference pixels are left out altogether."""
    required: tuple[str, ...] = ()
    """Classes that must be there."""
    n: int | None = None
    """How many classes there must be; None: any number."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse classes that the protocol is not made for.

        Raises:
            ConfigError: the classes are others.
        """
        given = f"protocol {self.name}: {len(names)} classes ({shorten(names, 20)})"
        remedy = "give such classes, or use --protocol plain"
        for required in self.required:
            if not _matches((required,), names).any():
                raise ConfigError(f"{given}, none is {required!r}; {remedy}")
        if self.n is not None and len(names) != self.n:
            raise ConfigError(f"{given}, it is made for {self.n}; {remedy}")

    def in_mean(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """``(n,)`` whether each class may enter the means."""
        return ~_matches(self.not_in_mean + self.ignored, names)

    def in_accuracy(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """``(n,)`` whether the reference pixels of each class count."""
        return ~_matches(self.ignored, names)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("plain", "every class and every labelled pixel counts"),
        Protocol(
            "isprs-geoseg",
            "GeoSeg and most papers on Vaihingen and Potsdam: borders eroded, clutter counts in "
            "the accuracy only",
            erode=3,
            not_in_mean=("clutter",),
            required=("clutter",),
        ),
        Protocol(
            "mmseg6",
            "mmsegmentation on Vaihingen and Potsdam: all six classes in the mean",
            required=("clutter",),
            n=6,
        ),
        Protocol(
            "noclutter",
            "pixels of clutter have no label, as in networks that are trained without it",
            ignored=("clutter",),
            required=("clutter",),
        ),
        Protocol(
            "cityscapes",
            "the Cityscapes benchmark: 19 classes, all other ids without label",
            required=CITYSCAPES.names,
            n=len(CITYSCAPES),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"--protocol {name}: unknown protocol; known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def summarize(
    confusion: ConfusionMatrix, protocol: Protocol, names: Sequence[str]
) -> dict[str, Any]:
    """All metrics of a confusion matrix under a protocol, ready for JSON; None where undefined.

    Args:
        confusion: counts over all pixels with a reference.
        protocol: what enters the metrics. `confusion_matrix` and `missed` of the result hold the
            counts that it lets in.
        names: of the classes.
    """
    in_mean, in_accuracy = protocol.in_mean(names), protocol.in_accuracy(names)
    counts = confusion.ignoring(~in_accuracy)
    return {
        "protocol": protocol.name,
        "classes": list(names),
        "classes_in_mean": _select(names, in_mean & counts.present),
        "classes_in_accuracy": _select(names, in_accuracy),
        "absent_classes": _select(names, ~confusion.present),
        "overall_accuracy": nan_to_none(counts.overall_accuracy),
        "kappa": nan_to_none(counts.kappa),
        "mean_iou": nan_to_none(counts.mean(counts.iou, in_mean)),
        "mean_f1": nan_to_none(counts.mean(counts.f1, in_mean)),
        "mean_iou_of_all_classes": nan_to_none(counts.mean_iou),
        "mean_f1_of_all_classes": nan_to_none(counts.mean_f1),
        "iou": by_class(names, counts.iou),
        "f1": by_class(names, counts.f1),
        "precision": by_class(names, counts.precision),
        "recall": by_class(names, counts.recall),
        "pixels": int(counts.matrix.sum() + counts.missed.sum()),
        "confusion_matrix": counts.matrix.tolist(),
        "missed": counts.missed.tolist(),
    }


def by_class(names: Sequence[str], values: Floats) -> dict[str, float | None]:
    """One value per class, ready for JSON; None where it is undefined."""
    return dict(zip(names, map(nan_to_none, values.tolist()), strict=True))


def nan_to_none(value: float) -> float | None:
    """The value as JSON can hold it."""
    return None if math.isnan(value) else float(value)


def _select(names: Sequence[str], mask: NDArray[np.bool_]) -> list[str]:
    return [names[index] for index in np.flatnonzero(mask).tolist()]


def _matches(beginnings: tuple[str, ...], names: Sequence[str]) -> NDArray[np.bool_]:
    """``(n,)`` whether each name begins with one of these."""
    return np.array([name.casefold().startswith(beginnings) for name in names])
