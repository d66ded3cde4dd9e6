"""Label rasters of any maker: class ids from the values or the colours that they hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.unknown_values import Policy, UnknownValues
from geoseg.raster import Source
from geoseg.tiling import Window

_UNKNOWN = 254
"""In the tables below: a value or colour that no class has. No class id is that high."""
_BLACK = 0
"""What colour-coded labels paint pixels without label (the ISPRS benchmark's eroded borders)."""
_SHOWN = 20


class RasterLabels:
    """Class ids of a label raster, window by window.

    One band of whole numbers holds the values of the scheme. Three bands of uint8 hold its colours;
    black is "no label" there, unless it is a class's colour.

    Args:
        source: the label raster, one that `check_labels` accepts.
        scheme: what its values or colours mean.
        policy: what happens to unknown ones.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, source: Source, scheme: ClassScheme, policy: Policy) -> None:
        self._scheme = scheme
        self._colored = len(source.bands) == 3
        kind = "colour" if self._colored else "value"
        self.unknown = UnknownValues(source.path, kind, self._known(), policy)
        self._table = _ids_by_color(scheme) if self._colored else _ids_by_value(scheme)
        self._reader = source.open()

    def read(
        self,
        window: Window,
        valid: NDArray[np.bool_] | None = None,  # noqa: ARG002 - as polygons need it
    ) -> NDArray[np.uint8]:
        """``(height, width)`` class ids, 255 where there is no label or an unknown value.

        Args:
            window: inside the image.
            valid: changes nothing: labels are as the file has them, also where the image is not
                valid.

        Raises:
            SourceError: the file is damaged there, or holds unknown values that are refused.
        """
        row, height, width = window.row, window.height, window.width
        pixels, valid_labels = self._reader.read(row, window.col, height, width)
        codes = _packed(pixels) if self._colored else pixels[0]
        if self._colored or codes.dtype == np.uint8:
            ids = self._table[codes]  # far cheaper than finding the distinct values
        else:
            ids, unknown_values = self._scheme.ids_from_values(codes)
            ids[np.isin(codes, list(unknown_values))] = _UNKNOWN
        ids[~valid_labels] = NODATA
        unknown = ids == _UNKNOWN
        ids[unknown] = NODATA
        values, counts = np.unique(codes[unknown], return_counts=True)
        names = map(self._name, values.tolist())
        self.unknown.add(dict(zip(names, counts.tolist(), strict=True)), row, height, width)
        return ids

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _name(self, code: int) -> str:
        return f"{code >> 16},{code >> 8 & 255},{code & 255}" if self._colored else str(code)

    def _known(self) -> str:
        if self._colored:
            names = [",".join(map(str, color)) for color in self._scheme.colors]
        else:
            names = [str(value) for values in self._scheme.values for value in values]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(names[:_SHOWN]) + more


def nodata_warnings(sources: Iterable[Source], scheme: ClassScheme) -> list[str]:
    """A warning where label rasters declare a class as nodata: its pixels have no label then."""
    named = ((source, _class_of_nodata(source, scheme)) for source in sources)
    found = [(source, name) for source, name in named if name is not None]
    if not found:
        return []
    source, name = found[0]
    more = f" (and so do {len(found) - 1} more)" if len(found) > 1 else ""
    return [
        f"{source.path}: declares {source.nodata:g} as nodata{more}, which is class {name!r}: its "
        "pixels count as unlabelled; where they are of that class, unset the nodata value "
        "(gdal_edit.py -unsetnodata FILE)"
    ]


def _class_of_nodata(source: Source, scheme: ClassScheme) -> str | None:
    nodata = source.nodata
    if nodata is None:
        return None
    for name, color, values in zip(scheme.names, scheme.colors, scheme.values, strict=True):
        if nodata in values if len(source.bands) == 1 else set(color) == {nodata}:
            return name
    return None


def _ids_by_value(scheme: ClassScheme) -> NDArray[np.uint8]:
    ids, unknown = scheme.ids_from_values(np.arange(256))
    ids[list(unknown)] = _UNKNOWN
    return ids


def _ids_by_color(scheme: ClassScheme) -> NDArray[np.uint8]:
    """``(2^24,)`` class ids, one for each colour."""
    table = np.full(1 << 24, _UNKNOWN, np.uint8)
    table[_BLACK] = NODATA
    for class_id, (red, green, blue) in enumerate(scheme.colors):
        table[red << 16 | green << 8 | blue] = class_id
    return table


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """``(height, width)`` colours as one number each: red, green, blue from high to low byte."""
    red, green, blue = rgb.astype(np.int32)
    packed: NDArray[np.int32] = red << 16 | green << 8 | blue
    return packed
