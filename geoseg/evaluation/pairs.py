"""A prediction and its reference: the files that belong together, opened and checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.datasets.file_keys import Files, is_vector, tile_key
from geoseg.datasets.pairing import Pair
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.tiles import LabelSource, Seen, check_labels, find_labels, see_labels
from geoseg.errors import SourceError
from geoseg.failures import per_input
from geoseg.prefetch import look_ahead
from geoseg.raster import (
    Reader,
    SeenSource,
    Source,
    WarpedReader,
    describe_grid,
    open_raster,
    opened_once,
    read_class_names,
    same_grid,
)
from geoseg.report import shorten
from geoseg.tiling import Window

_ERODED_NAME = re.compile("no_?boundary|eroded", re.IGNORECASE)
"""Names of the ISPRS benchmark for files and folders of eroded references."""


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """Options that all pairs share."""

    scheme: ClassScheme
    erode: int
    """Radius in pixels by which the reference is eroded."""
    refuse_eroded: bool
    """Whether a reference that already has an eroded border is refused."""
    tolerance: int
    """Of boundary F1, in pixels."""
    resample: bool
    """Whether a prediction on another grid is resampled to the reference's."""
    attribute: str | None = None
    """Of references that are polygons, that holds the class."""
    layer: str | None = None
    """Of references and objects that are polygons."""


@dataclass(frozen=True, slots=True)
class RasterPair:
    """A prediction and its reference, whose classes and grids fit together."""

    tile: str
    predicted: Source
    reference: Source
    """The grid on which both are compared: that of the labels, or of the prediction where they are
    polygons."""
    labels: LabelSource
    """What the prediction is compared with."""
    instances: Path | None
    """The file of the tile's objects."""
    resampled: bool
    """Whether the prediction lies on another grid."""
    warnings: tuple[str, ...]
    seen: tuple[Seen, ...]
    """The files as they were before they were scored."""

    def refuse_changed(self) -> None:
        """Refuse scores of files that have been replaced meanwhile.

        Raises:
            ChangedSourceError: one of them has.
        """
        for each in self.seen:
            each.refuse_changed("scored")


def open_pairs(
    pairs: Sequence[Pair], instances: Files | None, options: ScoringOptions
) -> tuple[list[RasterPair], list[str]]:
    """The pairs that can be used, and a line about each of the others.

    Args:
        pairs: files of a prediction and its reference.
        instances: files of objects by tile; None where objects are not scored.
        options: what the pairs must fit.
    """
    usable: list[RasterPair] = []
    failures: list[str] = []

    def look(pair: Pair) -> RasterPair:
        own = None
        if instances is not None:
            own = _find_instances(pair, instances, only_pair=len(pairs) == 1)
        with opened_once(pair.raster), opened_once(pair.labels):
            return open_pair(pair, own, options)

    for pair, opened in zip(pairs, look_ahead(look, pairs), strict=True):
        with per_input(pair.raster, failures.append):
            usable.append(opened.result())
    return usable, failures


def open_pair(pair: Pair, instances: Path | None, options: ScoringOptions) -> RasterPair:
    """Open the files of a pair; no pixel is read yet.

    Raises:
        SourceError: a file cannot be used; the prediction was made with other classes, declares
            one of them as nodata, or does not lie on the reference's grid; or the reference's name
            says that it is eroded.
    """
    eroded = _ERODED_NAME.search(f"{pair.labels.parent.name}/{pair.labels.name}")
    if options.refuse_eroded and eroded:
        raise already_eroded(pair.labels, f"its name says {eroded[0]!r}", options.erode)
    predicted = open_raster(pair.raster, as_stored=True)
    of_polygons = (options.attribute, options.layer) if is_vector(pair.labels) else ()
    labels = find_labels(pair.labels, *of_polygons)
    reference = predicted if isinstance(labels, Polygons) else labels
    check_labels(labels, reference)
    if len(predicted.bands) != 1 or predicted.dtype != "uint8":
        raise SourceError(
            f"{pair.raster}: {len(predicted.bands)} band(s) of {predicted.dtype} are not a class "
            "raster; give one band of uint8 that holds class ids from 0, as geoseg predict writes "
            "it"
        )
    _refuse_class_as_nodata(predicted, options.scheme)
    warnings = _check_class_names(pair.raster, options.scheme)
    resampled = not same_grid(predicted, reference)
    if resampled and not options.resample:
        raise SourceError(
            f"{pair.raster}: {describe_grid(predicted)} do not lie on the grid of "
            f"{pair.labels} ({describe_grid(reference)}); predict on the reference's grid, or "
            "give --resample"
        )
    seen = SeenSource.at(pair.raster), see_labels(labels, options.scheme)
    return RasterPair(
        pair.tile, predicted, reference, labels, instances, resampled, tuple(warnings), seen
    )


def already_eroded(path: Path, why: str, radius: int) -> SourceError:
    """The error of a reference that would be eroded a second time."""
    return SourceError(
        f"{path}: has an eroded border already ({why}); give the full labels, --erode 0 to take it "
        f"as it is, or --erode {radius} to erode it further"
    )


class PredictionReader(AbstractContextManager["PredictionReader"]):
    """Class ids of a prediction on the reference's grid, window by window.

    Raises:
        SourceError: the prediction cannot be opened, or not be resampled.
    """

    def __init__(self, pair: RasterPair, scheme: ClassScheme) -> None:
        self._path = pair.predicted.path
        self._scheme = scheme
        self._reader: Reader | WarpedReader = (
            WarpedReader(pair.predicted, pair.reference)
            if pair.resampled
            else pair.predicted.open()
        )

    def __exit__(self, *error: object) -> None:
        self._reader.__exit__(*error)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """``(height, width)`` class ids, 254 or 255 where nothing is predicted.

        Raises:
            SourceError: the file is damaged there, or holds other values.
        """
        pixels, valid = self._reader.read(*astuple(window))
        predicted: NDArray[np.uint8] = np.where(valid, pixels[0], np.uint8(NODATA))
        classes = len(self._scheme)
        unknown = predicted[(predicted >= classes) & (predicted < UNCERTAIN)]
        if unknown.size:
            raise SourceError(
                f"{self._path}: holds class id {unknown.max()}, there are {classes} classes "
                f"(0 to {classes - 1}); give the --classes that it was made with"
            )
        return predicted


def _find_instances(pair: Pair, instances: Files, *, only_pair: bool) -> Path:
    """The objects of a tile. One vector file is for all tiles; one raster is for the only pair."""
    every_file = {path for files in instances.values() for path in files}
    if len(every_file) == 1 and (only_pair or any(map(is_vector, every_file))):
        return every_file.pop()
    tile = tile_key(pair.raster if is_vector(pair.labels) else pair.labels)
    found = instances.get(tile, [])
    if len(found) > 1:  # Cityscapes has several files per tile
        found = [path for path in found if path.stem.endswith("_instanceIds")] or found
    if len(found) != 1:
        raise SourceError(
            f"{pair.labels}: {'several' if found else 'no'} files of objects for tile {tile}; "
            "give one per tile with --instances, as a pattern where there are more"
        )
    return found[0]


def _refuse_class_as_nodata(predicted: Source, scheme: ClassScheme) -> None:
    """Refuse a prediction that calls a class "no data": its pixels would all count as wrong."""
    nodata = predicted.nodata
    if nodata is not None and nodata in range(len(scheme)):
        raise SourceError(
            f"{predicted.path}: declares {nodata:g} as nodata, which is class "
            f"{scheme.names[int(nodata)]!r}; unset the nodata value (gdal_edit.py -unsetnodata "
            f"FILE), or give a raster whose nodata is {NODATA}"
        )


def _check_class_names(predicted: Path, scheme: ClassScheme) -> list[str]:
    """Refuse another number or order of classes than geoseg wrote; warn of other names."""
    names = read_class_names(predicted)
    own = [name.casefold() for name in names or ()]
    given = [name.casefold() for name in scheme.names]
    if names is None or own == given:
        return []
    difference = (
        f"{predicted}: was made with {len(names)} classes ({shorten(names, 20)}), "
        f"{len(scheme)} are given ({shorten(scheme.names, 20)})"
    )
    if len(own) != len(given):
        raise SourceError(f"{difference}; give the --classes that it was made with")
    if sorted(own) == sorted(given):
        raise SourceError(
            f"{difference}: the same in another order; order the classes file like the prediction"
        )
    return [f"{difference}: they are taken to be the same, in this order"]
