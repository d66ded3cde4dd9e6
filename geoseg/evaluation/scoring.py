"""One prediction scored against its reference, strip by strip in bounded memory.

The raster is cut into strips of full width; no result depends on where::

        top  +------------------+   halo: rows that erosion and boundaries look at beyond the strip
        row  |==================|
             |  strip: counted  |
  row + rows |==================|
         end +------------------+   halo

Objects take the strips in order and join what continues from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.classes import NODATA
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.datasets.polygon_labels import PolygonLabels
from geoseg.datasets.tiles import open_labels, strips
from geoseg.evaluation.instances import open_instances
from geoseg.evaluation.pairs import PredictionReader, RasterPair, ScoringOptions, already_eroded
from geoseg.failures import per_input
from geoseg.metrics import BoundaryF1, ConfusionMatrix, InstanceIoU, ScaleIoU, erode
from geoseg.prefetch import work_ahead
from geoseg.progress import Progress
from geoseg.raster import GDAL_CACHE_BYTES
from geoseg.tiling import Window

_STRIP_PIXELS = 2 * 2**20
"""Pixels that are scored in one go; they take some 30 bytes each."""
CELL = 512
"""Side in pixels of the squares whose errors are counted, to find the largest."""


@dataclass(frozen=True, slots=True)
class PairScore:
    """What one pair scores."""

    pair: RasterPair
    confusion: ConfusionMatrix
    """Against the eroded reference."""
    boundary: BoundaryF1
    """Against the reference before erosion."""
    instances: InstanceIoU | None
    """Likewise; None where there are no objects."""
    errors: NDArray[np.int64]
    """Wrong or missed pixels of each `CELL`, ``(rows, columns)``."""
    drawn: DrawnFeatures | None = None
    """What became of the features of a reference of polygons."""
    objects: DrawnFeatures | None = None
    """Likewise of objects that are polygons."""


def score_pairs(
    pairs: Sequence[RasterPair], options: ScoringOptions, progress: Progress
) -> tuple[list[PairScore], list[str]]:
    """The scores of the pairs that can be read, and a line about each of the others.

    Several pairs are scored at once, in threads.
    """
    scores: list[PairScore] = []
    failures: list[str] = []
    progress.begin("evaluate", len(pairs))
    with closing(work_ahead(partial(_score, options), pairs)) as scored:
        for pair, score in zip(pairs, scored, strict=True):
            with per_input(pair.predicted.path, failures.append):
                scores.append(score.result())
            progress.advance(1)
    progress.end()
    return scores, failures


def _score(options: ScoringOptions, pair: RasterPair, stopped: Callable[[], bool]) -> PairScore:
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        return score_pair(pair, options, stopped=stopped)


def score_pair(
    pair: RasterPair,
    options: ScoringOptions,
    strip_pixels: int = _STRIP_PIXELS,
    stopped: Callable[[], bool] = lambda: False,
) -> PairScore:
    """Score one pair.

    Args:
        pair: what is compared.
        options: how.
        strip_pixels: pixels to look at in one go; changes no result.
        stopped: asked before each strip; True ends the scoring with KeyboardInterrupt.

    Raises:
        SourceError: a file is damaged, holds an unknown value, was replaced meanwhile, or the
            reference is eroded already.
        VectorError: the objects cannot be read.
    """
    scheme, height, width = options.scheme, pair.reference.height, pair.reference.width
    confusion = ConfusionMatrix(len(scheme))
    boundary = BoundaryF1(len(scheme), options.tolerance)
    halo = max(options.erode, boundary.halo)
    errors = np.zeros((-(-height // CELL), -(-width // CELL)), np.int64)
    present = np.zeros(256, np.bool_)
    with ExitStack() as files:
        labels = files.enter_context(open_labels(pair.labels, pair.reference, scheme))
        prediction = files.enter_context(PredictionReader(pair, scheme))
        instances, scale = None, ScaleIoU()
        if pair.instances is not None:
            instances = files.enter_context(
                open_instances(pair.instances, pair.reference, scheme, options.layer)
            )
            scale = ScaleIoU(instances.class_of)
        for strip in strips(height, width, strip_pixels):
            if stopped():
                raise KeyboardInterrupt
            top, end = max(0, strip.row - halo), min(height, strip.row_end + halo)
            window, core = Window(top, 0, end - top, width), strip.slices(top)
            reference, predicted = labels.read(window), prediction.read(window)
            boundary.update(reference, predicted, core)
            eroded = erode(reference, options.erode)[core]
            reference, predicted = reference[core], predicted[core]
            confusion.update(eroded, predicted)
            _count_errors(errors, strip.row, (eroded != predicted) & (eroded != NODATA))
            present[np.unique(reference)] = True
            if instances is not None:
                scale.update(reference, predicted, instances.read(strip))
    pair.refuse_changed()
    if options.refuse_eroded and present[:NODATA].sum() > 1 and not boundary.reference_pixels.any():
        why = "no two of its classes touch"
        raise already_eroded(pair.labels.path, why, options.erode)
    scores = None if instances is None else scale.compute()
    drawn = labels.drawn if isinstance(labels, PolygonLabels) else None
    objects = None if instances is None else instances.drawn
    return PairScore(pair, confusion, boundary, scores, errors, drawn, objects)


def _count_errors(errors: NDArray[np.int64], row: int, wrong: NDArray[np.bool_]) -> None:
    """Add the wrong pixels of a strip, whose first row is `row`, to the cells that they lie in."""
    height, width = wrong.shape
    by_column = np.add.reduceat(wrong, range(0, width, CELL), axis=1, dtype=np.int64)
    for first in range(row - row % CELL, row + height, CELL):
        part = by_column[max(0, first - row) : max(0, first + CELL - row)]
        errors[first // CELL] += part.sum(axis=0)
