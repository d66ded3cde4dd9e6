"""The files that a raster's parts become, each under a key that says what it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassScheme
from geoseg.files import remove_files
from geoseg.inference.parts import PartFolder
from geoseg.places import AnyPath, existing_files
from geoseg.raster import (
    Layer,
    Source,
    chunk_areas,
    chunk_overviews,
    chunk_path,
    class_layer,
    confidence_layer,
    describes_classes,
    has_fingerprint,
    index_files,
    is_index,
    own_index_files,
    place_of,
    probability_layer,
    raster_companions,
    read_fingerprint,
    write_cog,
    write_index,
)
from geoseg.stores import FINGERPRINT, StorePath
from geoseg.styles import own_styles
from geoseg.tiling import Block, Window
from geoseg.vector import (
    FeatureTable,
    Regions,
    format_of,
    read_vector_fingerprint,
    write_tables,
)
from geoseg.vector import Layer as VectorLayer

RASTERS = ("classes", "confidence", "probabilities")


@dataclass(frozen=True, slots=True)
class Output:
    """One file that the user asked for."""

    kind: str
    """``classes``, ``confidence``, ``probabilities``, ``preview``, or a vector format."""
    path: AnyPath
    key: str
    """What it is made from; stored inside it."""
    side: int = 0
    """Of the squares that a raster is cut into, `path` being their index; 0: one file."""
    shown: Window | None = None
    """What of the source's grid it shows; None: all."""
    cleaned: bool = False
    """Of a class raster: made from the parts without regions that are too small."""

    def areas(self, source: Source) -> list[Window]:
        """What each file of a raster shows of the source's grid: that of its target."""
        shown = self.shown or source.shown
        squares = chunk_areas(
            shown.height, shown.width, self.side or max(shown.height, shown.width)
        )
        return [square.moved(shown.row, shown.col) for square in squares]

    def file(self, area: Window) -> AnyPath:
        """The file of a raster that shows this of it."""
        if not self.side:
            return self.path
        row, col = (self.shown.row, self.shown.col) if self.shown else (0, 0)
        return chunk_path(self.path, area.moved(-row, -col), self.side)

    def is_current(self) -> bool:
        """Whether the file exists and has this key."""
        return self._fingerprint() == self.key

    def _fingerprint(self) -> str | None:
        """The key of what is in its place; None where that is not geoseg's, or there is nothing."""
        if isinstance(self.path, StorePath):
            return self.path.fact(FINGERPRINT)
        read = read_fingerprint if self._is_raster else read_vector_fingerprint
        return read(self.path) if self.path.exists() else None

    def outdated(self) -> list[AnyPath]:
        """What geoseg has made of something else in its place, and what is left of killed runs.

        Styles are among it, which other polygon files of the raster may share.
        """
        found = self._fingerprint()
        if found == self.key and (self.side or self.kind not in RASTERS):
            return []
        files = [] if found == self.key else self._outdated_files(found)
        return list(dict.fromkeys([*files, *self._outdated_squares(found)]))

    def _outdated_files(self, found: str | None) -> list[AnyPath]:
        """The file and what belongs to it; where it is gone, what geoseg wrote beside it."""
        if found is None and self.path.exists():  # somebody's
            return []
        files = [] if self.side else self.files()
        if found is None:
            files = list(filter(_is_own_companion, files))
        return [*files, *own_styles(self.path)]

    def _outdated_squares(self, found: str | None) -> list[AnyPath]:
        """The other kind of raster; squares also where their index is gone, or never was."""
        if self.kind not in RASTERS:
            return []
        orphans = self.side == 0 or found is None
        return self._stale() + (own_index_files(self.path.with_suffix(".vrt")) if orphans else [])

    def existing(self) -> list[AnyPath]:
        """What exists in its place, made from something else; also as the other kind of raster."""
        return ([] if self.side else self.files()) + self._stale()

    def files(self) -> list[AnyPath]:
        """What exists of its file and what belongs to that."""
        kind = raster_companions if self._is_raster else format_of(self.path).companions
        return existing_files(self.path, kind)

    def in_the_way(self) -> list[AnyPath]:
        """Of these, what may be somebody's: not what geoseg wrote beside a file that is gone."""
        found = self.existing()
        if self.path in found:
            return found
        own = own_styles(self.path)
        return [path for path in found if path not in own and not _is_own_companion(path)]

    def remove_stale(self) -> None:
        """Remove what exists in its place and would not be replaced by it.

        Raises:
            OutputError: a file cannot be removed.
        """
        remove_files(self._stale())

    def _stale(self) -> list[AnyPath]:
        if self.kind not in RASTERS:
            return []
        if not self.side:
            index = self.path.with_suffix(".vrt")
            return index_files(index) if is_index(index) else []
        stale = [path for path in index_files(self.path) if not has_fingerprint(path, self.key)]
        whole = self.path.with_suffix(".tif")
        files = existing_files(whole, raster_companions)
        if whole not in files:
            return stale + list(filter(_is_own_companion, files))
        return stale + (files if read_fingerprint(whole) else [])

    @property
    def _is_raster(self) -> bool:
        return self.kind in (*RASTERS, "preview")


def _is_own_companion(path: AnyPath) -> bool:
    """Whether geoseg has written a file beside another one."""
    if isinstance(path, StorePath):  # put before its file, by a run that may have died in between
        return path.suffix not in (".tif", ".vrt") and path.fact(FINGERPRINT) is not None
    return describes_classes(path)


def output_path(target: AnyPath, kind: str) -> AnyPath:
    """The path of an output of a source; `target` is the output path without suffix."""
    endings = {"preview": "preview.png", **{name: f"{name}.tif" for name in RASTERS}}
    return target.with_name(f"{target.name}_{endings.get(kind, f'polygons.{kind}')}")


def output_folders(targets: Iterable[AnyPath]) -> set[AnyPath]:
    """The folders that hold outputs of these targets; those of squares need not exist."""
    found: set[AnyPath] = set()
    for target in targets:
        found |= {target.parent, *(output_path(target, kind).with_suffix("") for kind in RASTERS)}
    return found


def write_raster(
    output: Output,
    folder: PartFolder,
    blocks: Sequence[Block],
    classes: ClassScheme,
    area: Window,
) -> NDArray[np.int64]:
    """Turn a raster's parts into the Cloud-Optimized GeoTIFF that shows a rectangle of it.

    Returns:
        The pixels of each value 0..255 of the first band: of a class raster, of each code.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
        PartError: a part is missing or damaged, or its file is another part.
    """
    masked = output.kind == "probabilities"
    onto = folder.source.onto
    needed = area if onto is None else onto.needed(area)
    return write_cog(
        layer_of(output.kind, classes),
        folder.parts(blocks, "cleaned" if output.cleaned else output.kind, needed),
        output.file(area),
        valid=folder.parts(blocks, "classes", needed) if masked else (),
        area=area,
        onto=onto,
        overviews=chunk_overviews(output.side) if output.side else None,
        **_common(output, folder.source.target),
    )


def write_raster_index(output: Output, source: Source, classes: ClassScheme) -> None:
    """Write the index over the squares of a raster.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
        SourceError: a square is missing or damaged.
    """
    source = source.target
    place = _common(output, source)
    if shown := output.shown:
        place |= {
            "height": shown.height,
            "width": shown.width,
            "transform": place_of(source.transform, shown),
        }
    write_index(layer_of(output.kind, classes), output.path, output.side, **place)


def _common(output: Output, source: Source) -> dict[str, Any]:
    return {
        "height": source.height,
        "width": source.width,
        "transform": source.transform,
        "crs": source.crs,
        "fingerprint": output.key,
    }


def layer_of(kind: str, classes: ClassScheme) -> Layer:
    """What the pixels of a kind of output raster mean."""
    if kind == "classes":
        return class_layer(classes)
    return confidence_layer() if kind == "confidence" else probability_layer(classes)


def vector_layer(
    name: str,
    source: Source,
    classes: ClassScheme,
    regions: Iterable[Regions],
    attributes: Sequence[str] = (),
) -> VectorLayer:
    """The polygons of a source on the grid of its extent; `attributes` beside those all have."""
    shown = source.extent
    place = (shown.height, shown.width, place_of(source.transform, shown), source.crs)
    return VectorLayer(name, regions, *place, classes, range(len(classes)), attributes)


def write_vectors(
    outputs: Sequence[Output], layer: VectorLayer, tables: Iterable[FeatureTable]
) -> None:
    """Stream the features of a layer into every polygon file at once.

    Raises:
        OutputError: a file cannot be written, or passes its format's limits.
    """
    write_tables([(layer, tables)], {output.path: output.key for output in outputs})


def by_kind(outputs: Sequence[Output], texts: Sequence[str]) -> dict[str, str | list[str]]:
    """What is said of each output; a list where there are several of a kind."""
    found: dict[str, list[str]] = {}
    for output, text in zip(outputs, texts, strict=True):
        found.setdefault(output.kind, []).append(text)
    return {kind: each[0] if len(each) == 1 else each for kind, each in found.items()}
