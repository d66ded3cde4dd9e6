"""Label rasters of any maker: class ids from the values or the colours that they hold."""

from __future__ import annotations

from collections.abc import Iterable

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
_SHOWN, _LISTED = 3, 20


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
        if not self._colored and (
            len(source.bands) != 1 or np.dtype(source.dtype).kind not in "iu"
        ):
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
        ids, unknown = self.read_and_count(row, col, height, width)
        if unknown:
            self._refuse(unknown, row, height)
        return ids

    def read_and_count(
        self, row: int, col: int, height: int, width: int
    ) -> tuple[NDArray[np.uint8], dict[str, int]]:
        """The same, without label where the scheme knows no class; how many pixels hold each such value or colour.

        Raises:
            SourceError: the file is damaged there.
        """
        pixels, valid = self._reader.read(row, col, height, width)
        codes = _packed(pixels) if self._colored else pixels[0]
        if self._colored or codes.dtype == np.uint8:
            ids = self._table[codes]
            ids[~valid] = NODATA
            strange = ids == _UNKNOWN
            ids[strange] = NODATA
        else:
            ids, strangers = self.scheme.ids_from_values(codes)
            ids[~valid] = NODATA
            strange = valid & np.isin(codes, list(strangers))
        values, counts = np.unique(codes[strange], return_counts=True)
        return ids, {
            self._named(int(value)): int(count) for value, count in zip(values, counts, strict=True)
        }

    @property
    def kind(self) -> str:
        """What the labels hold: ``colour`` or ``value``."""
        return "colour" if self._colored else "value"

    @property
    def known(self) -> str:
        """The colours or values of the classes, for a message."""
        if self._colored:
            every = [",".join(map(str, color)) for color in self.scheme.colors]
        else:
            every = [str(value) for values in self.scheme.values for value in values]
        return ", ".join(every[:_LISTED]) + (
            f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
        )

    def _refuse(self, unknown: dict[str, int], row: int, height: int) -> None:
        raise SourceError(
            f"{self.source.path}: rows {row} to {row + height - 1} hold {self.kind} {most_frequent(unknown)}, which is "
            f"no class's and not ignored; the classes have {self.known}: give a classes file with all {self.kind}s, or "
            "mend the labels"
        )

    def _named(self, code: int) -> str:
        return f"{code >> 16},{code >> 8 & 255},{code & 255}" if self._colored else str(code)


def hidden_warnings(sources: Iterable[Source], scheme: ClassScheme) -> list[str]:
    """A warning where label rasters declare as nodata what is a class: its pixels have no label then."""
    found = [(source, name) for source in sources if (name := _hidden(source, scheme)) is not None]
    if not found:
        return []
    source, name = found[0]
    more = f" (and so do {len(found) - 1} more)" if len(found) > 1 else ""
    return [
        f"{source.path}: declares {source.nodata:g} as nodata{more}, which is class {name!r}: its pixels count as "
        "unlabelled; where they are of that class, unset the nodata value (gdal_edit.py -unsetnodata FILE)"
    ]


def _hidden(source: Source, scheme: ClassScheme) -> str | None:
    if source.nodata is None:
        return None
    for name, color, values in zip(scheme.names, scheme.colors, scheme.values, strict=True):
        if source.nodata in values if len(source.bands) == 1 else set(color) == {source.nodata}:
            return name
    return None


def most_frequent(counts: dict[str, int]) -> str:
    """The most frequent of some values or colours with their pixels, for a message."""
    order = sorted(counts, key=lambda name: -counts[name])
    shown = ", ".join(f"{name} ({counts[name]:,} pixels)" for name in order[:_SHOWN])
    return shown + (f" and {len(order) - _SHOWN} more" if len(order) > _SHOWN else "")


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
    packed: NDArray[np.int32] = (
        rgb[0].astype(np.int32) << 16 | rgb[1].astype(np.int32) << 8 | rgb[2]
    )
    return packed
