"""The kinds of errors of an evaluation: which class was predicted in place of which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import MAX_CLASSES, NODATA, UNCERTAIN, ClassScheme
from geoseg.metrics import ConfusionMatrix

RIGHT, NOT_SCORED = UNCERTAIN, NODATA
"""Values of an error raster beside the kinds."""
_OTHER = "other errors"

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ErrorKinds:
    """The kinds that occur, by their number of pixels, most first."""

    scheme: ClassScheme
    """Name and colour of each kind; its position is its value in an error raster."""
    reference: tuple[str | None, ...]
    """The class of each kind in the reference; None: of any."""
    predicted: tuple[str | None, ...]
    """The class in its place; None: no class, or any."""
    pixels: tuple[int, ...]
    _values: NDArray[np.uint8]
    """``(256, classes + 1)`` the value by class in the reference and prediction, missed last."""

    @classmethod
    def of(cls, confusion: ConfusionMatrix, names: Sequence[str]) -> ErrorKinds:
        """The kinds of all errors that were counted.

        A raster holds 254: of more kinds, those with the fewest pixels are "other errors", which
        stands for itself where nothing is wrong.

        Args:
            confusion: over all pairs.
            names: of the classes.
        """
        classes = len(names)
        counts = np.column_stack([confusion.matrix, confusion.missed]).astype(np.int64)
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
        listed = order if 0 < order.size <= MAX_CLASSES else order[: MAX_CLASSES - 1]
        pairs = [divmod(place, classes + 1) for place in listed.tolist()]
        reference: list[str | None] = [names[actual] for actual, _ in pairs]
        predicted = [None if guess == classes else names[guess] for _, guess in pairs]
        kinds = [
            f"{actual} missed" if guess is None else f"{guess} instead of {actual}"
            for actual, guess in zip(reference, predicted, strict=True)
        ]
        pixels = counts.flat[listed].tolist()
        values = np.full((256, classes + 1), NOT_SCORED, np.uint8)
        values[:classes] = len(listed)
        values[np.divmod(listed, classes + 1)] = np.arange(len(listed))
        values[range(classes), range(classes)] = RIGHT
        if listed.size < max(1, order.size):
            kinds, reference, predicted = [*kinds, _OTHER], [*reference, None], [*predicted, None]
            pixels.append(int(counts.sum()) - sum(pixels))
        return cls(
            ClassScheme.from_names(kinds),
            tuple(reference),
            tuple(predicted),
            tuple(pixels),
            values,
        )

    def values_of(self, reference: Labels, predicted: Labels) -> Labels:
        """The values of an error raster.

        Args:
            reference: class ids, 255 where nothing is scored.
            predicted: class ids, 254 or 255 where nothing is predicted; of the same shape.
        """
        missed = self._values.shape[1] - 1
        found: Labels = self._values[reference, np.minimum(predicted, missed)]
        return found
