"""Class rasters that are finished: counted, and brought here for those who draw them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassScheme
from geoseg.copies import local_copy
from geoseg.inference.outputs import Output
from geoseg.places import AnyPath
from geoseg.raster import (
    PANEL_SIDE,
    Source,
    class_layer,
    level_at_hand,
    open_raster,
    opened_once,
    read_counts,
)
from geoseg.raster.part import BLOCK
from geoseg.raster.pieces import Pieces
from geoseg.stores import StorePath
from geoseg.tiling import Window

_PIECES = Pieces(2**22, BLOCK, down_first=False)
"""Whole tiles, counted at once: those of a wide raster's row do not fit into GDAL's cache."""


@contextmanager
def classes_at_hand(output: Output, source: Source, classes: ClassScheme) -> Iterator[Path]:
    """A class raster as a file of this machine: all of it, or the level that a preview shows.

    Raises:
        FileNotFoundError: a file of the raster is missing in its bucket.
        OutputError: the disk has no room for a copy.
    """
    if isinstance(output.path, Path) or not output.side:
        with local_copy(output.path) as file:
            yield file
        return
    shown = output.shown or source.shown
    with level_at_hand(
        class_layer(classes),
        output.path,
        output.side,
        height=shown.height,
        width=shown.width,
        least=PANEL_SIDE,
    ) as file:
        yield file


def count_classes(labels: AnyPath) -> NDArray[np.int64]:
    """Pixels of each code 0..255 of a class raster.

    Raises:
        SourceError: it cannot be read.
    """
    if isinstance(labels, StorePath) and (told := read_counts(labels)) is not None:
        return told
    counts = np.zeros(256, np.int64)
    with local_copy(labels) as file, opened_once(file), open_raster(file).open() as reader:
        for piece in _PIECES.cut(Window(0, 0, reader.height, reader.width)):
            pixels, _ = reader.read(*astuple(piece))
            counts += np.bincount(pixels.ravel(), minlength=256)
    return counts
