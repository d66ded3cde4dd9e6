"""Label rasters of any maker: class ids from the values or the colours that they hold.

What happens to values and colours that no class has:

=====================  ========================================================================
train, evaluate        refuse: labels are complete or they are wrong, so the first rows with an
                       unknown value end the file
prepare                count: pixels of unknown values become unlabelled and are reported, up to
                       1 % of a file; more of them, or too many distinct ones, refuse the file
=====================  ========================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source
from geoseg.raster.file_source import open_raster
from geoseg.raster.gdal import replace_raster
from geoseg.report import shorten
from geoseg.tiling import Window

Policy = Literal["refuse", "count"]

_TOLERATED = 0.01
"""Share of a file's pixels. More are labels of something else, not slips."""
_MOST_DISTINCT = 1000
"""Distinct colours or values. More of them are an image, whatever a classes file says."""


@dataclass(slots=True)
class UnknownValues:
    """Pixels of one label raster whose values or colours no class has."""

    path: Path
    kind: str
    """``value`` or ``colour``."""
    known: str
    """The values or colours of the classes, for a message."""
    policy: Policy
    counts: Counter[str] = field(default_factory=Counter)
    """Pixels by value or colour."""
    pixels_read: int = 0

    def add(self, counts: Mapping[str, int], row: int, height: int, width: int) -> None:
        """Take note of the unknown pixels of a window.

        Raises:
            SourceError: there are some, and the policy is to refuse.
        """
        if counts and self.policy == "refuse":
            rows = f"rows {row} to {row + height - 1}"
            raise SourceError(self._refusal(f"{self.path}: {rows} hold", counts))
        self.counts.update(counts)
        self.pixels_read += height * width

    def warning(self) -> str | None:
        """A line about all unknown pixels of the file; None where there are none.

        Raises:
            SourceError: there are too many to leave them unlabelled.
        """
        if not self.counts:
            return None
        if len(self.counts) > _MOST_DISTINCT:
            raise SourceError(
                f"{self.path}: holds {len(self.counts):,} {self.kind}s that no class has, as an "
                "image does; give its labels"
            )
        if self.counts.total() > _TOLERATED * self.pixels_read:
            raise SourceError(self._refusal(f"{self.path}:", self.counts))
        return (
            f"{self.path}: {self.kind} {_most_frequent(self.counts)} belongs to no class; "
            "these pixels are left unlabelled"
        )

    def _refusal(self, start: str, counts: Mapping[str, int]) -> str:
        return (
            f"{start} {self.kind} {_most_frequent(counts)}, which no class has and which is not "
            f"ignored; the classes have {self.known}: add it to the classes or to ignore, or "
            "correct the labels"
        )


def _most_frequent(counts: Mapping[str, int]) -> str:
    order = sorted(counts, key=lambda name: -counts[name])
    return shorten((f"{name} ({counts[name]:,} pixels)" for name in order), shown=3)


_UNKNOWN = 254
"""In the tables below: a value or colour that no class has. No class id is that high."""
_BLACK = 0
"""Colour of pixels without label in colour-coded labels (the ISPRS benchmark's eroded borders)."""


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

    def read(self, window: Window) -> NDArray[np.uint8]:
        """``(height, width)`` class ids, 255 where there is no label or an unknown value.

        They are those of the file, even where the image is not valid.

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
        return shorten(names, shown=20)


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


def write_label_values(raster: str | Path, out: str | Path, scheme: ClassScheme) -> Path:
    """A class raster in the values of a data set's own labels, as a PNG.

    Of a class with several values the first is written; 254 and 255 become the least ignored value.

    Args:
        raster: one band of uint8 class ids, small enough for memory.
        out: the PNG file; an older one is replaced.
        scheme: such as `geoseg.classes.CITYSCAPES`, whose values are the ``labelIds``.

    Raises:
        ConfigError: a class has a value that a byte cannot hold.
        SourceError: the raster cannot be read, or holds ids without a class.
        OutputError: the PNG cannot be written.
    """
    beyond = [values[0] for values in scheme.values if not 0 <= values[0] <= NODATA]
    if beyond:
        raise ConfigError(
            f"label value {beyond[0]} does not fit into a byte; give classes with values of 0 to "
            "255"
        )
    source = open_raster(raster, as_stored=True)
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, source.height, source.width)
    ids = pixels[0].copy()
    ids[~valid | (ids == UNCERTAIN)] = NODATA
    if len(pixels) != 1 or ids.dtype != np.uint8 or (ids[ids != NODATA] >= len(scheme)).any():
        raise SourceError(
            f"{raster}: is not a class raster of {len(scheme)} classes; give one made with them"
        )
    ignored = [value for value in scheme.ignore if 0 <= value <= NODATA]
    table = np.full(256, min(ignored, default=NODATA), np.uint8)
    table[: len(scheme)] = [values[0] for values in scheme.values]
    with (
        replace_raster(Path(out)) as made,
        rasterio.open(
            made,
            "w",
            driver="PNG",
            height=source.height,
            width=source.width,
            count=1,
            dtype="uint8",
        ) as file,
    ):
        file.write(table[ids], 1)
    return Path(out)
