"""Label rasters of any maker: class ids from the values or the colours that they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.errors import SourceError
from geoseg.raster.reader import Reader
from geoseg.raster.source import Source

_UNKNOWN = 254
"""In the tables below: a value or colour that is no class's. No class id is that high."""
_BLACK = 0
"""What colour-coded labels paint pixels without label (the ISPRS benchmark's eroded borders)."""
_SHOWN = 3


class LabelReader:
    """Class ids of a label raster, window by window.

    One band of whole numbers holds the values of the scheme; three bands of uint8 hold its colours, and black is
    no label unless it is a class's colour.

    Args:
        source: the label raster.
        scheme: what its values or colours mean.

    Raises:
        SourceError: it has other bands, or cannot be opened.
    """

    def __init__(self, source: Source, scheme: ClassScheme) -> None:
        self.source = source
        self.scheme = scheme
        self._colored = len(source.bands) == 3 and source.dtype == "uint8"
        if not self._colored and (len(source.bands) != 1 or np.dtype(source.dtype).kind not in "iu"):
            raise SourceError(
                f"{source.path}: {len(source.bands)} band(s) of {source.dtype} are no labels; give one band of whole "
                "numbers, or red, green and blue as uint8"
            )
        self._table = _by_color(scheme) if self._colored else _by_value(scheme)
        self._reader = Reader(source)

    def __enter__(self) -> LabelReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def read(self, row: int, col: int, height: int, width: int) -> NDArray[np.uint8]:
        """``(height, width)`` class ids, 255 where there is no label.

        Raises:
            SourceError: the file is damaged there, or holds what the scheme does not know.
        """
        pixels, valid = self._reader.read(row, col, height, width)
        codes = _packed(pixels) if self._colored else pixels[0]
        if self._colored or codes.dtype == np.uint8:
            ids = self._table[codes]
            ids[~valid] = NODATA
            unknown = codes[ids == _UNKNOWN]
        else:
            ids, strangers = self.scheme.ids_from_values(codes)
            ids[~valid] = NODATA
            unknown = codes[valid & np.isin(codes, list(strangers))]
        if unknown.size:
            self._refuse(unknown, row, height)
        return ids

    def _refuse(self, unknown: NDArray[Any], row: int, height: int) -> None:
        values, counts = np.unique(unknown, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:_SHOWN]
        shown = ", ".join(f"{self._named(int(values[i]))} ({counts[i]:,} pixels)" for i in order)
        more = f" and {values.size - _SHOWN} more" if values.size > _SHOWN else ""
        kind = "colour" if self._colored else "value"
        known = (
            ", ".join(",".join(map(str, color)) for color in self.scheme.colors[:8])
            if self._colored
            else ", ".join(str(value) for values in self.scheme.values for value in values)
        )
        raise SourceError(
            f"{self.source.path}: rows {row} to {row + height - 1} hold {kind} {shown}{more}, which is no class's and "
            f"not ignored; the classes have {known}: give a classes file with all {kind}s, or mend the labels"
        )

    def _named(self, code: int) -> str:
        return f"{code >> 16},{code >> 8 & 255},{code & 255}" if self._colored else str(code)


def _by_value(scheme: ClassScheme) -> NDArray[np.uint8]:
    ids, strangers = scheme.ids_from_values(np.arange(256))
    ids[list(strangers)] = _UNKNOWN
    return ids


def _by_color(scheme: ClassScheme) -> NDArray[np.uint8]:
    """One entry for each of the 16.8 million colours: looking up is far cheaper than finding the distinct ones."""
    table = np.full(1 << 24, _UNKNOWN, np.uint8)
    table[_BLACK] = NODATA
    for class_id, (red, green, blue) in enumerate(scheme.colors):
        table[red << 16 | green << 8 | blue] = class_id
    return table


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    packed: NDArray[np.int32] = rgb[0].astype(np.int32) << 16 | rgb[1].astype(np.int32) << 8 | rgb[2]
    return packed
