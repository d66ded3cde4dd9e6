"""Pictures of the places where predictions and references differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.datasets.tiles import open_labels
from geoseg.evaluation.pairs import PredictionReader, RasterPair, ScoringOptions
from geoseg.evaluation.scoring import CELL, PairScore
from geoseg.metrics import erode
from geoseg.tiling import Window

_SHOWN = 6
_SIDE = 320
"""Longest side of a picture in pixels."""
_UNLABELLED = (217, 217, 217)
_UNCERTAIN = (128, 128, 128)
_WRONG, _MISSED, _RIGHT = (214, 39, 40), (148, 103, 189), (245, 245, 245)

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ErrorCell:
    """A square of a tile with wrong pixels, in pictures (PNG)."""

    title: str
    wrong: int
    """Pixels that are wrong or missed."""
    reference: bytes
    predicted: bytes
    difference: bytes
    """Wrong red, missed violet, right near white, unlabelled or eroded grey."""


def draw_largest_errors(scores: Sequence[PairScore], options: ScoringOptions) -> list[ErrorCell]:
    """The squares with the most wrong pixels, most first; at most six, none without a wrong pixel.

    Raises:
        SourceError: a raster can no longer be read.
    """
    cells = []
    for index, score in enumerate(scores):
        for row, col in np.argwhere(score.errors).tolist():
            cells.append((-int(score.errors[row, col]), index, row, col))
    largest = sorted(cells)[:_SHOWN]
    return [
        _draw(scores[index].pair, options, row * CELL, col * CELL, -minus_wrong)
        for minus_wrong, index, row, col in largest
    ]


def _draw(pair: RasterPair, options: ScoringOptions, row: int, col: int, wrong: int) -> ErrorCell:
    """The square whose first pixel is at `row` and `col`."""
    scheme, grid, halo = options.scheme, pair.reference, options.erode
    cell = Window(row, col, min(CELL, grid.height - row), min(CELL, grid.width - col))
    # Erosion looks at the pixels around the square too.
    top, left = max(0, row - halo), max(0, col - halo)
    bottom, right = min(grid.height, cell.row_end + halo), min(grid.width, cell.col_end + halo)
    around = Window(top, left, bottom - top, right - left)
    with (
        open_labels(pair.labels, grid, scheme) as labels,
        PredictionReader(pair, scheme) as prediction,
    ):
        reference = labels.read(around)
        predicted = prediction.read(cell)
    core = cell.slices(top, left)
    eroded = erode(reference, halo)[core]
    difference = np.full((*predicted.shape, 3), _RIGHT, np.uint8)
    difference[eroded != predicted] = _WRONG
    difference[predicted >= UNCERTAIN] = _MISSED
    difference[eroded == NODATA] = _UNLABELLED
    place = f"rows {row} to {cell.row_end - 1}, columns {col} to {cell.col_end - 1}"
    return ErrorCell(
        title=f"{pair.labels.path.name}, {place}",
        wrong=wrong,
        reference=_png(_colorize(reference[core], scheme)),
        predicted=_png(_colorize(predicted, scheme)),
        difference=_png(difference),
    )


def _colorize(labels: Labels, scheme: ClassScheme) -> Labels:
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
