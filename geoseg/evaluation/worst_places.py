"""Pictures of the places where predictions and references differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.datasets.label_reader import LabelReader
from geoseg.evaluation.scoring import (
    CELL,
    Candidate,
    Rules,
    Verdict,
    open_prediction,
    read_prediction,
)
from geoseg.metrics import erode

_SHOWN = 6
_SIDE = 320
"""Longest side of a picture in pixels."""
_UNLABELLED = (217, 217, 217)
_UNCERTAIN = (128, 128, 128)
_WRONG, _MISSED, _RIGHT = (214, 39, 40), (148, 103, 189), (245, 245, 245)

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Place:
    """A square of a tile, in pictures."""

    title: str
    wrong: int
    """Pixels that are wrong or missed."""
    reference: bytes
    """PNG."""
    predicted: bytes
    """PNG."""
    difference: bytes
    """PNG: wrong red, missed violet, right near white, not judged grey."""


def pictures_of_worst(verdicts: Sequence[Verdict], rules: Rules) -> list[Place]:
    """The squares with the most wrong pixels, worst first; at most six, none without a wrong pixel.

    Raises:
        SourceError: a raster can no longer be read.
    """
    cells = [
        (int(verdict.wrong[row, col]), index, int(row), int(col))
        for index, verdict in enumerate(verdicts)
        for row, col in np.argwhere(verdict.wrong > 0)
    ]
    worst = sorted(cells, key=lambda cell: (-cell[0], *cell[1:]))[:_SHOWN]
    return [
        _picture(verdicts[index].pair, rules, row * CELL, col * CELL, wrong)
        for wrong, index, row, col in worst
    ]


def _picture(pair: Candidate, rules: Rules, row: int, col: int, wrong: int) -> Place:
    height, width = min(CELL, pair.reference.height - row), min(CELL, pair.reference.width - col)
    halo = rules.erode
    top, left = max(0, row - halo), max(0, col - halo)
    bottom, right = (
        min(pair.reference.height, row + height + halo),
        min(pair.reference.width, col + width + halo),
    )
    with LabelReader(pair.reference, rules.scheme) as truth, open_prediction(pair) as guess:
        reference = truth.read(top, left, bottom - top, right - left)
        predicted = read_prediction(guess, pair, rules.scheme, row, height)[:, col : col + width]
    core = slice(row - top, row - top + height), slice(col - left, col - left + width)
    judged = erode(reference, rules.erode)[core]
    difference = np.full((height, width, 3), _RIGHT, np.uint8)
    difference[judged != predicted] = _WRONG
    difference[predicted >= UNCERTAIN] = _MISSED
    difference[judged == NODATA] = _UNLABELLED
    return Place(
        f"{pair.reference.path.name}, rows {row} to {row + height - 1}, columns {col} to {col + width - 1}",
        wrong,
        _png(_colored(reference[core], rules.scheme)),
        _png(_colored(predicted, rules.scheme)),
        _png(difference),
    )


def _colored(labels: Labels, scheme: ClassScheme) -> Labels:
    """``(height, width, 3)`` uint8."""
    picture = np.moveaxis(scheme.colors_from_ids(labels), 0, -1)
    picture[labels == NODATA] = _UNLABELLED
    picture[labels == UNCERTAIN] = _UNCERTAIN
    return picture


def _png(picture: Labels) -> bytes:
    """The picture as a PNG, every n-th pixel of a large one."""
    from matplotlib.image import imsave  # takes half a second to import

    step = -(-max(picture.shape) // _SIDE)
    buffer = BytesIO()
    imsave(buffer, np.ascontiguousarray(picture[::step, ::step]), format="png")
    return buffer.getvalue()
