"""One prediction against one reference, strip by strip in bounded memory.

The reference is eroded, and borders are compared, with a halo of rows above and below each strip; objects take the
strips in order. So no figure depends on how the raster is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.datasets.label_reader import LabelReader
from geoseg.errors import SourceError
from geoseg.evaluation.instances import open_objects
from geoseg.metrics import BoundaryF1, ConfusionMatrix, ScaleIoU, erode
from geoseg.raster import (
    Reader,
    Resampled,
    Source,
    describe_grid,
    open_raster,
    read_class_names,
    same_grid,
)

_STRIP = 2 * 2**20
"""Pixels that are looked at in one go; some 30 bytes each at work."""
CELL = 512
"""Side in pixels of the squares among which the worst are looked for."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same for all pairs."""

    scheme: ClassScheme
    erode: int
    """Radius in pixels."""
    refuse_eroded: bool
    """Whether a reference that already has an eroded border is refused."""
    tolerance: int
    """Of boundary F1, in pixels."""
    resample: bool
    """Whether a prediction on another grid is resampled to the reference's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair whose files fit together."""

    tile: str
    predicted: Source
    reference: Source
    objects: Path | None
    resampled: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one pair has shown."""

    pair: Candidate
    confusion: ConfusionMatrix
    """Against the eroded reference."""
    boundary: BoundaryF1
    """Against the reference as it came."""
    objects: ScaleIoU | None
    """Likewise."""
    wrong: NDArray[np.int64]
    """Wrong or missed pixels of each `CELL`, ``(rows, columns)``."""


def check_pair(
    tile: str, predicted: Path, reference: Path, objects: Path | None, rules: Rules
) -> Candidate:
    """Open the files of a pair, read nothing yet.

    Raises:
        SourceError: a file cannot be used, was made with other classes, or does not lie on the other's grid.
    """
    guess, truth = open_raster(predicted), open_raster(reference)
    if len(guess.bands) != 1 or guess.dtype != "uint8":
        raise SourceError(
            f"{predicted}: {len(guess.bands)} band(s) of {guess.dtype} are no class raster; give one band of uint8 "
            "that holds class ids from 0, as geoseg predict writes it"
        )
    warnings = _check_names(predicted, rules.scheme)
    resampled = not same_grid(guess, truth)
    if resampled and not rules.resample:
        raise SourceError(
            f"{predicted}: {describe_grid(guess)} do not lie on the grid of {reference} ({describe_grid(truth)}); "
            "predict on the reference's grid, or give --resample"
        )
    return Candidate(tile, guess, truth, objects, resampled, tuple(warnings))


def judge(pair: Candidate, rules: Rules, strip: int = _STRIP) -> Verdict:
    """Count one pair.

    Args:
        pair: what is compared.
        rules: how.
        strip: pixels to look at in one go; changes no figure.

    Raises:
        SourceError: a file is damaged, holds what is no class, or the reference is eroded already.
        VectorError: the objects cannot be read.
    """
    scheme, height, width = rules.scheme, pair.reference.height, pair.reference.width
    confusion = ConfusionMatrix(len(scheme))
    boundary = BoundaryF1(len(scheme), rules.tolerance)
    halo = max(rules.erode, boundary.halo)
    wrong = np.zeros((-(-height // CELL), -(-width // CELL)), np.int64)
    seen = np.zeros(256, np.bool_)
    with (
        LabelReader(pair.reference, scheme) as truth,
        open_prediction(pair) as guess,
        ExitStack() as files,
    ):
        objects = (
            None if pair.objects is None else open_objects(pair.objects, pair.reference, scheme)
        )
        if objects is not None:
            files.callback(objects.close)
        counter = None if objects is None else objects.counter()
        for row, rows in _strips(height, width, strip):
            top, end = max(0, row - halo), min(height, row + rows + halo)
            reference = truth.read(top, 0, end - top, width)
            predicted = read_prediction(guess, pair, scheme, top, end - top)
            core = slice(row - top, row - top + rows)
            boundary.update(reference, predicted, (core, slice(None)))
            judged = erode(reference, rules.erode)[core]
            confusion.update(judged, predicted[core])
            _add_cells(wrong, row, (judged != predicted[core]) & (judged != NODATA))
            seen[np.unique(reference[core])] = True
            if objects is not None and counter is not None:
                counter.update(reference[core], predicted[core], objects.read(row, rows))
    if (
        rules.refuse_eroded
        and not boundary.reference_pixels.any()
        and np.count_nonzero(seen[:NODATA]) > 1
    ):
        raise SourceError(
            already_eroded(pair.reference.path, "no two of its classes touch", rules.erode)
        )
    return Verdict(pair, confusion, boundary, None if counter is None else counter.result(), wrong)


def already_eroded(path: Path, why: str, radius: int) -> str:
    """Why a reference is not eroded again, in one line."""
    return (
        f"{path}: carries an eroded border already ({why}); give the full labels, --erode 0 to take it as it is, or "
        f"--erode {radius} to erode it further"
    )


def open_prediction(pair: Candidate) -> Reader | Resampled:
    """A reader of the prediction on the reference's grid."""
    return Resampled(pair.predicted, pair.reference) if pair.resampled else pair.predicted.open()


def read_prediction(
    reader: Reader | Resampled, pair: Candidate, scheme: ClassScheme, row: int, height: int
) -> Labels:
    """``(height, width)`` class ids of full-width rows, 254 or 255 where nothing is predicted.

    Raises:
        SourceError: there are other values.
    """
    pixels, valid = reader.read(row, 0, height, pair.reference.width)
    predicted: Labels = np.where(valid, pixels[0], np.uint8(NODATA))
    strangers = predicted[(predicted >= len(scheme)) & (predicted < UNCERTAIN)]
    if strangers.size:
        raise SourceError(
            f"{pair.predicted.path}: holds class id {strangers.max()}, there are {len(scheme)} classes "
            f"(0 to {len(scheme) - 1}); give the --classes that it was made with"
        )
    return predicted


def _check_names(predicted: Path, scheme: ClassScheme) -> list[str]:
    """Refuse a prediction of geoseg's that was made with another number or order of classes."""
    made = read_class_names(predicted)
    if made is None or tuple(map(str.casefold, made)) == tuple(map(str.casefold, scheme.names)):
        return []
    told = f"{predicted}: was made with {len(made)} classes ({', '.join(made)})"
    given = f"{len(scheme)} are given ({', '.join(scheme.names)})"
    if len(made) != len(scheme):
        raise SourceError(f"{told}, {given}; give the --classes that it was made with")
    if {name.casefold() for name in made} == {name.casefold() for name in scheme.names}:
        raise SourceError(
            f"{told}, {given}: the same in another order; order the classes file like the prediction"
        )
    return [f"{told}, {given}: they are taken to be the same, in this order"]


def _strips(height: int, width: int, pixels: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each strip."""
    rows = max(1, pixels // width)
    for row in range(0, height, rows):
        yield row, min(rows, height - row)


def _add_cells(cells: NDArray[np.int64], row: int, mask: NDArray[np.bool_]) -> None:
    """Count the pixels of a strip's mask in the cells they lie in."""
    height, width = mask.shape
    by_column = np.add.reduceat(mask, range(0, width, CELL), axis=1, dtype=np.int64)
    for first in range(row - row % CELL, row + height, CELL):
        part = by_column[max(0, first - row) : max(0, first + CELL - row)]
        cells[first // CELL] += part.sum(axis=0)
