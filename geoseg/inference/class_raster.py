"""The polygons of a class raster on disk, read part by part."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.errors import OutputError, RunError
from geoseg.inference.areas import cells_of
from geoseg.prefetch import work_ahead
from geoseg.raster import (
    GDAL_CACHE_BYTES,
    Part,
    Seen,
    Source,
    read_window,
    write_part,
)
from geoseg.tiling import Window
from geoseg.vector import (
    CELL,
    Cleaning,
    FeatureTable,
    Layer,
    PartRegions,
    absorb_areas,
    clean_labels,
    features_ahead,
    find_graph,
    join_graphs,
    join_parts,
    polygonize_part,
    simplified_part,
)

_PART_ROWS, _PART_COLS = 512, 8192
"""Rows and columns polygonized at a time: whole tiles of a COG, about 100 MB in use."""
PART_PIXELS = _PART_ROWS * _PART_COLS
"""Of such a part."""

MadeLayer = tuple[Layer, Iterable[FeatureTable]]
"""A layer and its features."""


@dataclass(slots=True)
class ClassRaster:
    """A class raster whose polygons can be made, while they are consumed."""

    labels: Source
    confidence: Source | None
    classes: ClassScheme
    attributes: Sequence[str]
    """Of its polygons, beside those that all have."""
    seen: Sequence[Seen]
    """Both rasters as they were before they were opened."""
    cleaning: Cleaning
    undeclared: int = 0
    """Valid pixels of 255 in a raster that does not declare 255 as nodata."""
    masked: int = 0
    """Pixels of a nodata value that could be a class's."""

    @property
    def content(self) -> bytes:
        """What the polygons are made from."""
        cleaning = self.cleaning.facts()
        facts = [json.dumps([self.classes.names, *self.attributes])]
        facts += [json.dumps(cleaning)] if cleaning else []
        prints = [*(each.fingerprint for each in self.seen), "-"]
        return "".join([*facts, *prints[:2]]).encode()

    def layer(self, name: str) -> Layer:
        """The raster's polygons, which are made while they are consumed."""
        labels, self.undeclared, self.masked = self.labels, 0, 0
        size, place = (labels.height, labels.width), (labels.transform, labels.crs)
        regions = join_parts(self._parts(), *size)
        return Layer(name, regions, *size, *place, self.classes, attributes=self.attributes)

    def warnings(self) -> list[str]:
        """What reading the pixels has shown."""
        path, lines = self.labels.path, []
        if self.undeclared:
            lines.append(
                f"{path}: {self.undeclared:,} pixels of 255, which is not declared as nodata, make "
                "no polygon; use class ids below 254"
            )
        if self.masked:
            lines.append(
                f"{path}: {self.masked:,} pixels of {self.labels.nodata:g}, which is declared as "
                "nodata, make no polygon; where they are of a class, unset the nodata value "
                "(gdal_edit.py -unsetnodata FILE)"
            )
        return lines

    def _parts(self) -> Iterator[PartRegions]:
        with (self.confidence or self.labels).open() as beside:

            def confidence(window: Window) -> NDArray[np.uint8] | None:
                if self.confidence is None:
                    return None
                values: NDArray[np.uint8]
                (values,), _ = beside.read(window.row, window.col, window.height, window.width)
                return values

            if not self.cleaning.in_cells:
                for window, labels in self._cleaned():
                    yield polygonize_part(labels, confidence(window), window.row, window.col)
            else:
                yield from self._cells(confidence)
        for each in self.seen:
            each.refuse_changed("vectorized")

    def _cells(
        self, confidence: Callable[[Window], NDArray[np.uint8] | None]
    ) -> Iterator[PartRegions]:
        """The polygons of each cell; a cell needs pixels of those around it, so parts are kept."""
        labels = self.labels
        whole = Window(0, 0, labels.height, labels.width)
        place = (labels.transform, labels.crs, whole.height, whole.width)
        drawing = self.cleaning.drawing(self.classes.names, *place)
        with TemporaryDirectory(prefix="geoseg-") as folder:
            parts = []
            for number, (window, pixels) in enumerate(self._cleaned()):
                place = (window.row, window.col, window.height, window.width)
                parts.append(Part(Path(folder, f"{number}.tif"), *place))
                write_part(parts[-1], pixels)
            for cell in cells_of(whole, whole, CELL):
                framed = read_window(parts, cell, NODATA, margin=1)
                yield simplified_part(framed, confidence(cell), cell.row, cell.col, drawing)

    def _cleaned(self) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """The labels, part by part, without the regions that are too small."""
        if self.cleaning.min_area is None:
            yield from self._read(count=True)
            return
        labels = self.labels
        shape = (labels.height, labels.width)
        limit = self.cleaning.limit(self.classes.names, labels.transform, labels.crs, *shape)
        graphs, regions = [], []
        for window, pixels in self._read(count=True):
            place = (window.row, window.col)
            _, graph = find_graph(pixels, limit.weights(window), *place, limit)
            area, (numbers,) = join_graphs([graph], window, shape, limit)  # what may matter of it
            graphs.append(area)
            regions.append(numbers)
        classes = absorb_areas(graphs, shape, limit)
        parts = zip(self._read(count=False), regions, classes, strict=True)
        for (window, pixels), numbers, class_id in parts:
            yield window, clean_labels(pixels, numbers, class_id)

    def _read(self, *, count: bool) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """The labels as they are, part by part; `count` what the warnings are about."""
        source = self.labels
        starts = itertools.product(
            range(0, source.height, _PART_ROWS), range(0, source.width, _PART_COLS)
        )
        with source.open() as reader:
            for row, col in starts:
                size = min(_PART_ROWS, source.height - row), min(_PART_COLS, source.width - col)
                (labels,), valid = reader.read(row, col, *size)
                if count:
                    self.undeclared += int(np.count_nonzero((labels == NODATA) & valid))
                    if source.nodata is not None and source.nodata < UNCERTAIN:
                        self.masked += int(np.count_nonzero((labels == source.nodata) & ~valid))
                labels[~valid] = NODATA
                yield Window(row, col, *size), labels


def layers_at_once(
    rasters: Mapping[str, ClassRaster], folder: Path, begun: list[str], failed: dict[str, Exception]
) -> Generator[MadeLayer]:
    """The layers of several rasters, made at once, in threads; in the order of the rasters.

    After one that fails no layer comes, but all are made, so that all that fail are known at once.
    Close it, as by `contextlib.closing`, before the folder is removed.

    Args:
        rasters: by the names of their layers.
        folder: for features that wait for their turn.
        begun: gets the names as the layers come.
        failed: gets the errors of those that cannot be made.

    Raises the first of these errors in the end; and at once:
        RunError: no layer can be made here.
        OutputError: nor can features wait in the folder.
    """
    spools = {name: folder / f"{number}.features" for number, name in enumerate(rasters)}

    def make(name: str, stopped: Callable[[], bool]) -> MadeLayer:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            layer = rasters[name].layer(name)
            return layer, features_ahead(layer, spools[name], stopped)

    with closing(work_ahead(make, rasters)) as layers:
        for name, layer in zip(rasters, layers, strict=True):
            begun.append(name)
            try:
                made = layer.result()
            except (RunError, OutputError):
                raise
            except Exception as error:
                failed[name] = error
            if not failed:
                yield made
            spools[name].unlink(missing_ok=True)
    for reason in failed.values():
        raise reason
