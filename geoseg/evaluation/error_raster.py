"""Where a prediction is wrong: an error raster of a pair, and its wrong regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.datasets.tiles import open_labels, strips
from geoseg.evaluation.error_kinds import ErrorKinds
from geoseg.evaluation.pairs import PredictionReader, RasterPair, ScoringOptions
from geoseg.files import temporary_folder
from geoseg.geodesy import area_rule
from geoseg.metrics import erode
from geoseg.raster import (
    Part,
    Source,
    WarpedReader,
    error_layer,
    open_confidence,
    write_cog,
    write_part,
)
from geoseg.tiling import Window
from geoseg.unwritable import naming_file
from geoseg.vector import PartRegions, join_parts, polygonize_part
from geoseg.vector.polygonize import to_crs

MOST_REGIONS = 1000
"""Of all sheets; the largest."""
_STRIP_PIXELS = 2 * 2**20
"""Pixels that are compared in one go."""
_CLASSES, _CONFIDENCE = "_classes", "_confidence"


@dataclass(frozen=True, slots=True)
class WrongRegions:
    """Connected pixels of one kind of error, the largest of a pair."""

    polygons: NDArray[np.object_]
    """In the CRS of the pair."""
    kind: NDArray[np.int64]
    pixels: NDArray[np.int64]
    area: NDArray[np.float64]
    """Square metres; NaN without CRS."""
    confidence: NDArray[np.float64]
    """Mean of the prediction's, 0..1; NaN where there is none."""

    def chosen(self, index: NDArray[Any]) -> WrongRegions:
        """Some of them, in this order."""
        return WrongRegions(*(getattr(self, each.name)[index] for each in fields(self)))

    @classmethod
    def joined(cls, several: list[WrongRegions]) -> WrongRegions:
        """All regions of several, one after the other."""
        columns = ([getattr(part, each.name) for part in several] for each in fields(cls))
        return cls(*map(np.concatenate, columns))


@dataclass(frozen=True, slots=True)
class PairErrors:
    """What an error raster shows."""

    raster: Path
    crs: CRS | None
    regions: WrongRegions
    count: int
    """Of all wrong regions."""


def confidence_of(pair: RasterPair) -> Source | None:
    """The confidence beside a prediction, as ``predict`` writes it; None where there is none.

    Raises:
        SourceError: it cannot be used.
    """
    path = pair.predicted.path
    place = path.with_name(f"{path.stem.removesuffix(_CLASSES)}{_CONFIDENCE}{path.suffix}")
    if not path.stem.endswith(_CLASSES) or not place.exists():
        return None
    return open_confidence(place, pair.predicted)


def draw_errors(
    pair: RasterPair,
    options: ScoringOptions,
    kinds: ErrorKinds,
    out: Path,
    fingerprint: str,
    stopped: Callable[[], bool] = lambda: False,
) -> PairErrors:
    """Write the error raster of a pair, and find its wrong regions.

    Args:
        pair: what was compared.
        options: how.
        kinds: of all pairs.
        out: the raster; an older one is replaced.
        fingerprint: stored in it.
        stopped: asked before each strip; True ends the work with KeyboardInterrupt.

    Raises:
        SourceError: a file is damaged, or was replaced meanwhile.
        OutputError: the raster cannot be written.
    """
    grid = pair.reference
    parts: list[Part] = []
    count, kept = 0, [_none()]
    rule = area_rule(grid.transform, grid.crs, grid.height, grid.width)
    with ExitStack() as stack:
        with naming_file(out):
            folder = stack.enter_context(temporary_folder(out))
        pieces = _pieces(pair, options, kinds, folder, parts, stopped)
        for batch in join_parts(pieces, grid.height, grid.width):
            count += len(batch)
            largest = np.argsort(-batch.pixels, kind="stable")[:MOST_REGIONS]
            polygons = to_crs(batch.geometry[largest], grid.transform)
            pixels = batch.pixels[largest]
            found = WrongRegions(
                polygons=polygons,
                kind=batch.class_id[largest].astype(np.int64),
                pixels=pixels,
                area=rule.areas(polygons, pixels.astype(np.float64)),
                confidence=batch.confidence[largest],
            )
            both = WrongRegions.joined([*kept, found])
            kept = [both.chosen(largest_of(both))]
        pair.refuse_changed()
        write_cog(
            error_layer(kinds.scheme),
            parts,
            out,
            height=grid.height,
            width=grid.width,
            transform=grid.transform,
            crs=grid.crs,
            fingerprint=fingerprint,
        )
    return PairErrors(out, grid.crs, kept[0], count)


def largest_of(regions: WrongRegions) -> NDArray[np.int64]:
    """Which regions are the largest, the largest first: by area where that of all is known."""
    sizes = regions.area if np.isfinite(regions.area).all() else regions.pixels
    return np.argsort(-sizes, kind="stable")[:MOST_REGIONS]


def _none() -> WrongRegions:
    empty = np.zeros(0)
    whole = empty.astype(np.int64)
    return WrongRegions(empty.astype(object), whole, whole, empty, empty)


def _pieces(
    pair: RasterPair,
    options: ScoringOptions,
    kinds: ErrorKinds,
    folder: Path,
    parts: list[Part],
    stopped: Callable[[], bool],
) -> Iterator[PartRegions]:
    """The wrong regions of each strip, whose values are written as one of the parts."""
    height, width = pair.reference.height, pair.reference.width
    beside = confidence_of(pair)
    with (
        open_labels(pair.labels, pair.reference, options.scheme) as labels,
        PredictionReader(pair, options.scheme) as prediction,
        nullcontext() if beside is None else _open_confidence(beside, pair) as confidence,
    ):
        for strip in strips(height, width, _STRIP_PIXELS):
            if stopped():
                raise KeyboardInterrupt
            top, end = max(0, strip.row - options.erode), min(height, strip.row_end + options.erode)
            reference = labels.read(Window(top, 0, end - top, width))
            eroded = erode(reference, options.erode)[strip.slices(top)]
            values = kinds.values_of(eroded, prediction.read(strip))
            place = (strip.row, strip.col, strip.height, strip.width)
            parts.append(Part(folder / f"{strip.row}.tif", *place))
            write_part(parts[-1], values)
            sure = None
            if confidence is not None:
                (sure,), valid = confidence.read(*place)
                sure[~valid] = 0
            yield polygonize_part(values, sure, strip.row, strip.col)


def _open_confidence(source: Source, pair: RasterPair) -> Any:
    return WarpedReader(source, pair.reference) if pair.resampled else source.open()
