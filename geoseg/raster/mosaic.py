"""Adjoining sheets as one raster: windows see across their borders.

Sheets lie on one grid. Where they overlap, a pixel is that of the first sheet in which it is
valid; where none is, it is no data. Which sheets a window meets is looked up in a tree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import SheetError, SourceError
from geoseg.raster.pieces import PiecedReader, pieces_of_copies
from geoseg.raster.read_cost import ReadCost
from geoseg.raster.reader import Reader
from geoseg.raster.source import Source
from geoseg.tiling import Window

_MOST_OPEN = 64
"""Sheets that a reader keeps open."""
_OPEN_BYTES = 64 * 2**20
"""Of the strips or tiles that GDAL keeps of each open sheet, unless one has more."""


class Sheet(NamedTuple):
    """A raster and where it lies in a mosaic."""

    source: Source
    row: int
    """Of its upper left corner, pixels of the mosaic."""
    col: int
    sampling: float | None = None
    """Its own ground sampling, metres, where it decides which is on top."""

    @property
    def window(self) -> Window:
        """What it covers."""
        return Window(self.row, self.col, self.source.height, self.source.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicSource(Source):
    """Sheets on one grid."""

    sheets: tuple[Sheet, ...]
    """The first one that has a valid pixel gives it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """As `Source.files`."""
        return tuple(file for sheet in self.sheets for file in sheet.source.files)

    @property
    def facts(self) -> str:
        """As `Source.facts`."""
        sheets = [(sheet.row, sheet.col, sheet.source.facts) for sheet in self.sheets]
        return repr((self.height, self.width, sheets))

    def without(self, sheet: str) -> MosaicSource:
        """The same raster with no data where this sheet alone is.

        Raises:
            SourceError: it is the last one.
        """
        left = tuple(each for each in self.sheets if str(each.source.path) != sheet)
        if not left:
            raise SourceError(f"{self.path}: none of its sheets can be read; check them")
        return replace(self, sheets=left)

    def _open(self, overview: int | None) -> Reader:  # noqa: ARG002 - a mosaic has none
        return MosaicReader(self)


def mosaic_cost(sheets: Sequence[ReadCost]) -> ReadCost:
    """What reading a mosaic of such sheets holds in memory."""
    most = _most_open(max(sheet.block_bytes for sheet in sheets))
    return ReadCost.of_several(sheets, most)


def _most_open(block_bytes: int) -> int:
    return max(1, min(_MOST_OPEN, _OPEN_BYTES // max(1, 2 * block_bytes)))


class MosaicReader(PiecedReader):
    """Windows of a mosaic; sheets are opened when a window first meets them.

    Args:
        mosaic: the raster.
    """

    def __init__(self, mosaic: MosaicSource) -> None:
        self.path, self.height, self.width = mosaic.path, mosaic.height, mosaic.width
        self.bands, self.dtype = len(mosaic.bands), mosaic.dtype
        self._sheets = mosaic.sheets
        self.pieces = pieces_of_copies(self, striped=mosaic.read_cost.striped)
        self._most_open = _most_open(mosaic.read_cost.block_bytes)
        corners = np.array([(s.col, s.row, s.source.width, s.source.height) for s in self._sheets])
        left, top, width, height = corners.T
        self._tree = shapely.STRtree(shapely.box(left, top, left + width, top + height))
        self._readers: OrderedDict[int, Reader] = OrderedDict()

    def close(self) -> None:
        """Close all sheets."""
        while self._readers:
            self._readers.popitem()[1].close()

    def _fill(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        for number in np.sort(self._tree.query(box)).tolist():
            common = self._sheets[number].window.intersect(window)
            if common is None:  # they only touch
                continue
            rows, cols = common.slices(window.row, window.col)
            missing = ~valid[rows, cols]
            if missing.any():
                found, found_valid = self._read_sheet(number, common)
                new = missing & found_valid
                np.copyto(pixels[:, rows, cols], found, where=new)
                valid[rows, cols] |= new

    def _read_sheet(self, number: int, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        sheet = self._sheets[number]
        row, col = window.row - sheet.row, window.col - sheet.col
        try:
            if number not in self._readers:
                if len(self._readers) == self._most_open:
                    self._readers.popitem(last=False)[1].close()
                self._readers[number] = sheet.source.open()
            self._readers.move_to_end(number)
            return self._readers[number].read(row, col, window.height, window.width)
        except SourceError as error:
            raise SheetError(str(error), str(sheet.source.path)) from error
