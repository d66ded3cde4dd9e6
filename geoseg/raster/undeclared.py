"""Values in a file that are no measurements and that it does not declare: found, named, refused.

One look for all commands; they differ in the options that help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import MisfitError
from geoseg.raster.fills import (
    Fill,
    border_fill,
    find_fills,
    impossible,
    may_be_impossible,
)
from geoseg.raster.nodata import number_text
from geoseg.raster.sampling import Sample, sample_extremes, sample_windows
from geoseg.raster.source import Source
from geoseg.report import counted

_CALC = 'gdal_calc.py -A FILE --allBands=A --type=Float32 --calc="{}" --outfile=COPY.tif'
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a user of a command can do about such values."""

    nodata: str
    """The option that declares values; ``{}`` stands for them."""
    measured: str
    """What lets values pass that are measured; ``{}`` stands for the range."""


PREDICT = Remedy("give --nodata {}", "--value-range {} clips them")
CLIPPED = Remedy("give --nodata {}", "leave them: --value-range {} clips them")
PREPARE = Remedy("give --nodata {}", "leave them")
TRAIN = Remedy("set data.nodata: [{}]", f"clip them in a copy ({_CALC.format('clip(A,{})')})")


@dataclass(frozen=True, slots=True)
class Look:
    """A sample of a file, and what in it seems to be no measurement."""

    source: Source
    sample: Sample
    values: NDArray[Any]
    """``(bands, pixels)`` valid ones, those around the extremes of overviews too."""

    @classmethod
    def at(cls, source: Source) -> Look:
        """A look at a file.

        Raises:
            SourceError: it cannot be read.
        """
        sample = sample_windows(source)
        values = sample.values
        if sample.share < 1:
            values = np.concatenate([values, sample_extremes(source)], axis=1)
        return cls(source, sample, values)

    def counts(self, fills: Sequence[Fill]) -> str:
        """How many pixels have which value, and in which bands where not in all."""
        texts = []
        for fill in fills:
            bands = ", ".join(str(self.source.bands[position]) for position in fill.bands)
            where = f" (not everywhere in all bands, but in {bands})" if fill.partly else ""
            verb = "is" if fill.pixels == 1 else "are"
            texts.append(f"{fill.pixels:,} {verb} {self._text(fill.value)}{where}")
        return f"of {self.values.shape[1]:,} sampled pixels {' and '.join(texts)}"

    def nodata(self, fills: Sequence[Fill]) -> str:
        """The values as an option takes them, beside the declared one that they replace."""
        values = [self._text(fill.value) for fill in fills]
        if self.source.nodata is not None:
            values = [number_text(self.source.stored(self.source.nodata)), *values]
        return ",".join(values)

    def fills_line(self, fills: Sequence[Fill], value_range: str, remedy: Remedy) -> str:
        """What was found, and what to do about it."""
        if any(fill.partly for fill in fills):
            where = "|".join(f"(A=={self._text(fill.value)})" for fill in fills)
            do = f"make them NaN in a copy ({_CALC.format(f'where({where},nan,A)')})"
        else:
            do = remedy.nodata.format(self.nodata(fills))
        return (
            f"{self.source.path}: {self.counts(fills)}, far from all others; if they mean no data, "
            f"{do}; if they are measured, {remedy.measured.format(value_range)}"
        )

    def _text(self, value: float) -> str:
        return number_text(self.source.stored(value))

    def border_warning(self, ends: tuple[float, float], remedy: Remedy) -> list[str]:
        """A warning where much of the border is filled with what may mean no data.

        Args:
            ends: the lowest and the highest value that can be measured.
            remedy: of the command.
        """
        dtype = np.dtype(self.source.dtype)
        top = [np.iinfo(dtype).max] if dtype.kind in "iu" else []
        suspects = dict.fromkeys([0, *ends, *top])
        found = border_fill(self.sample.border, self.sample.border_valid, suspects)
        if found is None:
            return []
        option = remedy.nodata.format(self.nodata([Fill(found[0], 0, 0, ())]))
        return [
            f"{self.source.path}: {found[1]:.0%} of its border is {self._text(found[0])} in all "
            f"bands; if this means no data, {option}, which also masks such "
            "pixels elsewhere"
        ]


def check_image(
    source: Source, value_range: tuple[float, float] | None, remedy: Remedy
) -> list[str]:
    """What a user should know about the values of an image with labels, one line each.

    Args:
        source: the image.
        value_range: the lowest and the highest value that can be measured; None where that is not
            known, and what is found is a warning.
        remedy: of the command.

    Raises:
        MisfitError: it holds values outside the range that seem to be no measurements.
    """
    look = Look.at(source)
    warnings = look.border_warning(value_range or (0, 0), remedy)
    if source.dtype == "uint8":
        return warnings
    fills = find_fills(look.values, value_range)
    span = "" if value_range is None else ",".join(map(number_text, value_range))
    if value_range is None:
        return warnings + ([look.fills_line(fills, span, remedy)] if fills else [])
    if fills:
        raise MisfitError(look.fills_line(fills, span, remedy))
    every = np.ones(look.values.shape[1], np.bool_)
    refuse_impossible(source, look.values, every, value_range, remedy)
    return warnings


def refuse_impossible(
    source: Source,
    pixels: NDArray[Any],
    valid: NDArray[np.bool_],
    value_range: tuple[float, float],
    remedy: Remedy,
    place: tuple[int, int] | None = None,
) -> None:
    """Refuse pixels that hold values which nobody can have measured.

    Args:
        source: the file.
        pixels: ``(bands, ...)`` in the source's dtype.
        valid: one less axis.
        value_range: the lowest and the highest value that can be measured.
        remedy: of the command.
        place: row and column of the first pixel, where they have two axes.

    Raises:
        MisfitError: there are some; it names value, count and place.
    """
    if not may_be_impossible(pixels, value_range):
        return
    for band, values in zip(source.bands, pixels, strict=True):  # a mask of all would be large
        where = impossible(values, value_range) & valid
        if where.any():
            at = ""
            if place is not None:
                row, col = np.unravel_index(where.argmax(), where.shape)
                at = f", the first at row {place[0] + row}, column {place[1] + col}"
            found = _impossible_values(source, values[where])
            low, high = map(number_text, value_range)
            raise MisfitError(
                f"{source.path}: holds {counted(int(where.sum()), 'value')} far beyond "
                f"{low} to {high} in band {band} ({found}){at}; if they mean no data in all bands, "
                f"{remedy.nodata.format(found)}; else {remedy.measured.format(f'{low},{high}')}",
                value_range=f"{low},{high}",
            )


def _impossible_values(source: Source, values: NDArray[Any]) -> str:
    """The most frequent values, as an option takes them."""
    distinct, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_NAMED]
    return ",".join(number_text(source.stored(float(distinct[index]))) for index in order)
