"""Protocols: which classes enter the mean, which reference pixels the accuracy, and how far the reference is eroded.

Published figures of one data set differ by more through these choices than through the networks, so each has a name.
In all of them a class that the reference never shows stays out of the means (and is listed), and a pixel with a
reference but without a prediction is missed: it costs recall, IoU and accuracy.
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


@dataclass(frozen=True, slots=True)
class Protocol:
    """How figures are made from counts."""

    name: str
    about: str
    """Whose convention it is."""
    erode: int = 0
    """Radius in pixels of the disc by which the reference is eroded."""
    beside_mean: str | None = None
    """The class that stays out of the mean; its pixels enter the accuracy."""
    ignored: str | None = None
    """The class whose reference pixels are left out altogether."""
    needs: tuple[str, ...] = ()
    """Classes that must be there."""
    count: int | None = None
    """How many classes there must be; None: any number."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse classes that the protocol is not made for.

        Raises:
            ConfigError: the classes are others.
        """
        given = f"protocol {self.name}: {len(names)} classes ({', '.join(names)})"
        mend = "give such classes, or use --protocol plain"
        missing = [wanted for wanted in self.needs if not any(_is(wanted, name) for name in names)]
        if missing:
            raise ConfigError(f"{given}, none is {missing[0]!r}; {mend}")
        if self.count is not None and len(names) != self.count:
            raise ConfigError(f"{given}, it is made for {self.count}; {mend}")

    def in_mean(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """``(n,)`` whether each class may enter the means."""
        return ~(_mask(self.beside_mean, names) | _mask(self.ignored, names))

    def judged(self, confusion: ConfusionMatrix, names: Sequence[str]) -> ConfusionMatrix:
        """The counts that the figures are made from."""
        return confusion.without(_mask(self.ignored, names))


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("plain", "every class and every labelled pixel counts"),
        Protocol(
            "isprs-geoseg",
            "GeoSeg and most papers on Vaihingen and Potsdam: borders eroded, clutter counts in the accuracy only",
            erode=3,
            beside_mean="clutter",
            needs=("clutter",),
        ),
        Protocol(
            "mmseg6",
            "mmsegmentation on Vaihingen and Potsdam: all six classes in the mean",
            needs=("clutter",),
            count=6,
        ),
        Protocol(
            "noclutter",
            "pixels of clutter have no label, as where networks are trained without it",
            ignored="clutter",
            needs=("clutter",),
        ),
        Protocol(
            "cityscapes",
            "the Cityscapes benchmark: 19 classes, all other ids without label",
            needs=CITYSCAPES.names,
            count=len(CITYSCAPES),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises ConfigError where there is none."""
    if name not in PROTOCOLS:
        raise ConfigError(
            f"--protocol {name}: there is none of that name; known are {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]


def figures(confusion: ConfusionMatrix, protocol: Protocol, names: Sequence[str]) -> dict[str, Any]:
    """All figures of a confusion matrix under a protocol, ready for JSON; None where one is undefined.

    Args:
        confusion: counts over all pixels with a reference.
        protocol: what enters the figures; `confusion_matrix` and `missed` hold what the figures are made from.
        names: of the classes.
    """
    judged = protocol.judged(confusion, names)
    in_mean = protocol.in_mean(names)
    tables = {
        "iou": judged.iou,
        "f1": judged.f1,
        "precision": judged.precision,
        "recall": judged.recall,
    }
    return {
        "protocol": protocol.name,
        "classes": list(names),
        "classes_in_mean": _named(names, in_mean & judged.present),
        "classes_in_accuracy": _named(names, ~_mask(protocol.ignored, names)),
        "absent_classes": _named(names, ~confusion.present),
        "overall_accuracy": number(judged.overall_accuracy),
        "kappa": number(judged.kappa),
        "mean_iou": number(judged.mean(judged.iou, in_mean)),
        "mean_f1": number(judged.mean(judged.f1, in_mean)),
        "mean_iou_of_all_classes": number(judged.mean_iou),
        "mean_f1_of_all_classes": number(judged.mean_f1),
        **{kind: by_name(names, values) for kind, values in tables.items()},
        "pixels": int(judged.matrix.sum() + judged.missed.sum()),
        "confusion_matrix": judged.matrix.tolist(),
        "missed": judged.missed.tolist(),
    }


def by_name(names: Sequence[str], values: Floats) -> dict[str, float | None]:
    """One figure a class, ready for JSON."""
    return dict(zip(names, map(number, values.tolist()), strict=True))


def number(figure: float) -> float | None:
    """The figure as JSON can hold it: None for NaN."""
    return None if math.isnan(figure) else float(figure)


def _named(names: Sequence[str], mask: NDArray[np.bool_]) -> list[str]:
    return [name for name, member in zip(names, mask.tolist(), strict=True) if member]


def _mask(wanted: str | None, names: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([wanted is not None and _is(wanted, name) for name in names])


def _is(wanted: str, name: str) -> bool:
    """Whether `name` is that class: data sets write ``clutter`` and ``Clutter/background`` of the same."""
    return name.casefold().startswith(wanted.casefold())
