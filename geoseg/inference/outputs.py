"""The files that a raster's parts become, each under a key that says what it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassScheme
from geoseg.files import existing_files
from geoseg.inference.parts import PartFolder
from geoseg.raster import (
    Layer,
    Source,
    class_layer,
    confidence_layer,
    open_raster,
    probability_layer,
    raster_companions,
    read_fingerprint,
    write_cog,
)
from geoseg.tiling import Block
from geoseg.vector import (
    FeatureTable,
    Regions,
    format_of,
    read_vector_fingerprint,
    write_tables,
)
from geoseg.vector import Layer as VectorLayer

RASTERS = ("classes", "confidence", "probabilities")

_CHUNK_PIXELS = 2**22
"""Pixels counted at once."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file that the user asked for."""

    kind: str
    """``classes``, ``confidence``, ``probabilities``, ``preview``, or a vector format."""
    path: Path
    key: str
    """What it is made from; stored inside it."""

    def is_current(self) -> bool:
        """Whether the file exists and has this key."""
        read = read_fingerprint if self._is_raster else read_vector_fingerprint
        return self.path.exists() and read(self.path) == self.key

    def existing(self) -> list[Path]:
        """What exists of the file and those that belong to it."""
        kind = raster_companions if self._is_raster else format_of(self.path).companions
        return existing_files(self.path, kind)

    @property
    def _is_raster(self) -> bool:
        return self.kind in (*RASTERS, "preview")


def output_path(target: Path, kind: str) -> Path:
    """The path of an output of a source; `target` is the output path without suffix."""
    endings = {"preview": "preview.png", **{name: f"{name}.tif" for name in RASTERS}}
    return target.with_name(f"{target.name}_{endings.get(kind, f'polygons.{kind}')}")


def write_raster(
    output: Output, folder: PartFolder, blocks: Sequence[Block], classes: ClassScheme
) -> NDArray[np.int64]:
    """Turn a raster's parts into one Cloud-Optimized GeoTIFF.

    Returns:
        The pixels of each value 0..255 of the first band: of a class raster, of each code.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
        PartError: a part is missing or damaged, or its file is another part.
    """
    source = folder.source
    masked = output.kind == "probabilities"
    return write_cog(
        layer_of(output.kind, classes),
        folder.parts(blocks, output.kind),
        output.path,
        height=source.height,
        width=source.width,
        transform=source.transform,
        crs=source.crs,
        fingerprint=output.key,
        valid=folder.parts(blocks, "classes") if masked else (),
    )


def layer_of(kind: str, classes: ClassScheme) -> Layer:
    """What the pixels of a kind of output raster mean."""
    if kind == "classes":
        return class_layer(classes)
    return confidence_layer() if kind == "confidence" else probability_layer(classes)


def vector_layer(
    name: str, source: Source, classes: ClassScheme, regions: Iterable[Regions]
) -> VectorLayer:
    """The polygons of a source on its grid."""
    place = (source.height, source.width, source.transform, source.crs)
    return VectorLayer(name, regions, *place, classes)


def write_vectors(
    outputs: Sequence[Output], layer: VectorLayer, tables: Iterable[FeatureTable]
) -> None:
    """Stream the features of a layer into every polygon file at once.

    Raises:
        OutputError: a file cannot be written, or passes its format's limits.
    """
    write_tables([(layer, tables)], {output.path: output.key for output in outputs})


def count_classes(labels: Path) -> NDArray[np.int64]:
    """Pixels of each code 0..255 of a class raster.

    Raises:
        SourceError: it cannot be read.
    """
    counts = np.zeros(256, np.int64)
    source = open_raster(labels)
    rows = max(1, _CHUNK_PIXELS // source.width)
    with source.open() as reader:
        for row in range(0, source.height, rows):
            pixels, _ = reader.read(row, 0, min(rows, source.height - row), source.width)
            counts += np.bincount(pixels.ravel(), minlength=256)
    return counts
