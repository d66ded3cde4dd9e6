"""Pictures of the places where predictions and references differ most."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.coordinate_systems import crs_name
from geoseg.datasets.tiles import open_labels
from geoseg.evaluation.imagery import Imagery
from geoseg.evaluation.pairs import PredictionReader, RasterPair, ScoringOptions
from geoseg.evaluation.scoring import CELL, PairScore
from geoseg.geodesy import to_longitude_latitude
from geoseg.metrics import erode
from geoseg.raster import Source, opened_once
from geoseg.tiling import Window

_SHOWN = 6
_SIDE = 320
"""Longest side of a picture in pixels."""
_CLEAR = (0, 0, 0, 0)
"""Of pixels without a label: the page shows a checkerboard there, as white may be a class."""
_UNCERTAIN = (128, 128, 128, 255)
_WRONG, _MISSED, _RIGHT = (214, 39, 40, 255), (148, 103, 189, 255), (245, 245, 245, 255)

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ErrorCell:
    """A square of a tile with wrong pixels, in pictures (PNG), clear where nothing is known."""

    title: str
    place: str
    """Its middle in map coordinates; empty where the tile has none."""
    wrong: int
    """Pixels that are wrong or missed."""
    imagery: bytes | None
    """None where no imagery is known."""
    reference: bytes
    predicted: bytes
    difference: bytes
    """Wrong red, missed violet, right near white; clear where unlabelled or eroded."""


def draw_largest_errors(
    scores: Sequence[PairScore], options: ScoringOptions, imagery: Imagery
) -> list[ErrorCell]:
    """The squares with the most wrong pixels, most first; at most six, none without a wrong pixel.

    Args:
        scores: of all pairs.
        options: how they were scored.
        imagery: finds what lies below, and notes what it does not find.

    Raises:
        SourceError: a raster can no longer be read.
    """
    cells = []
    for index, score in enumerate(scores):
        for row, col in np.argwhere(score.errors).tolist():
            cells.append((-int(score.errors[row, col]), index, row, col))
    largest = sorted(cells)[:_SHOWN]
    shown = [scores[index].pair for index in {index for _, index, _, _ in largest}]
    with ExitStack() as files:
        for pair in shown:  # a file of which several squares are shown is opened once
            for path in (pair.predicted.path, pair.labels.path, imagery.find(pair)):
                if path is not None:
                    files.enter_context(opened_once(path))
        return [
            _draw(scores[index].pair, options, imagery, row * CELL, col * CELL, -minus_wrong)
            for minus_wrong, index, row, col in largest
        ]


def _draw(
    pair: RasterPair, options: ScoringOptions, imagery: Imagery, row: int, col: int, wrong: int
) -> ErrorCell:
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
    difference = np.full((*predicted.shape, 4), _RIGHT, np.uint8)
    difference[eroded != predicted] = _WRONG
    difference[predicted >= UNCERTAIN] = _MISSED
    difference[eroded == NODATA] = _CLEAR
    shown = f"rows {row} to {cell.row_end - 1}, columns {col} to {cell.col_end - 1}"
    below = imagery.picture(pair, cell, _SIDE)
    return ErrorCell(
        title=f"{pair.labels.path.name}, {shown}",
        place=_place(grid, cell),
        wrong=wrong,
        imagery=None if below is None else _png(below),
        reference=_png(_colorize(reference[core], scheme)),
        predicted=_png(_colorize(predicted, scheme)),
        difference=_png(difference),
    )


def _place(grid: Source, cell: Window) -> str:
    """The middle of a square as people type it into a map program: x,y and latitude, longitude."""
    if not grid.georeferenced:
        return ""
    middle = shapely.Point(cell.col + cell.width / 2, cell.row + cell.height / 2)
    x, y = grid.transform @ (middle.x, middle.y)
    digits = 6 if grid.crs is not None and grid.crs.is_geographic else 2
    text = f"middle at {x:.{digits}f},{y:.{digits}f}"
    if grid.crs is None:
        return text
    text += f" in {crs_name(grid.crs)}"
    ground = to_longitude_latitude(middle, grid.transform, grid.crs)
    return text if ground is None else f"{text}; latitude {ground.y:.6f}, longitude {ground.x:.6f}"


def _colorize(labels: Labels, scheme: ClassScheme) -> Labels:
    """``(height, width, 4)`` uint8."""
    colors = np.moveaxis(scheme.colors_from_ids(labels), 0, -1)
    picture = np.dstack([colors, np.full(labels.shape, 255, np.uint8)])
    picture[labels == NODATA] = _CLEAR
    picture[labels == UNCERTAIN] = _UNCERTAIN
    return picture


def _png(picture: Labels) -> bytes:
    """The picture as a PNG, every n-th pixel of a large one."""
    from matplotlib.image import imsave  # takes half a second to import

    step = -(-max(picture.shape) // _SIDE)
    buffer = BytesIO()
    imsave(buffer, np.ascontiguousarray(picture[::step, ::step]), format="png")
    return buffer.getvalue()
