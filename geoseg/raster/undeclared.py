"""Values in a file that are no measurements and that it does not declare: found, named, refused.

One look for all commands; they differ in the options that help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

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
from geoseg.raster.nodata import number_text, ranges_text
from geoseg.raster.sampling import Sample, sample_extremes, sample_windows
from geoseg.raster.source import Source
from geoseg.report import counted, shorten
from geoseg.value_ranges import Range, ValueRange, per_band

_CALC = 'gdal_calc.py -A FILE --allBands=A --type=Float32 --calc="{}" --outfile=COPY.tif'
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a user of a command can do about such values."""

    nodata: str
    """The option that declares values; ``{}`` stands for them. Empty where none does."""
    measured: str
    """What lets values pass that are measured; ``{}`` stands for the range."""
    of_all: bool = True
    """Whether that is the range of all bands, where bands have several."""

    def declare(self, values: Sequence[str]) -> str:
        """What to do about values that mean no data, by the option if there is one."""
        if self.nodata:
            return self.nodata.format(",".join(values))
        where = "|".join(f"(A=={value})" for value in values)
        return f"make them NaN in a copy ({_CALC.format(f'where({where},nan,A)')})"

    def without_option(self) -> Remedy:
        """For files beside an image: the option is about the image's own values."""
        return replace(self, nodata="")


PREDICT = Remedy("give --nodata {}", "--value-range {} clips them")
CLIPPED = Remedy("give --nodata {}", "leave them: --value-range {} clips them")
PREPARE = Remedy("give --nodata {}", "leave them")
TRAIN = Remedy(
    "set data.nodata: [{}]",
    f"clip them in a copy ({_CALC.format('clip(A,{})')})",
    of_all=False,
)


@dataclass(frozen=True, slots=True)
class Look:
    """A sample of a file, and what in it seems to be no measurement."""

    source: Source
    sample: Sample
    values: NDArray[Any]
    """``(bands, pixels)`` valid ones, those around the extremes of overviews too."""
    positions: tuple[int, ...]
    """Of these bands among those of the source."""

    @classmethod
    def at(cls, source: Source, *, border_only: bool = False) -> Look:
        """A look at a file.

        Args:
            source: the file.
            border_only: what is inside is of no interest, as any byte is a measurement.

        Raises:
            SourceError: it cannot be read.
        """
        sample = sample_windows(source, border_only=border_only)
        values = sample.values
        if sample.share < 1 and not border_only:
            values = np.concatenate([values, sample_extremes(source)], axis=1)
        return cls(source, sample, values, tuple(range(len(source.bands))))

    def of(self, positions: Sequence[int]) -> Look:
        """Some of the bands."""
        return replace(self, values=self.values[list(positions)], positions=tuple(positions))

    def counts(self, fills: Sequence[Fill]) -> str:
        """How many pixels have which value, and in which bands where not in all."""
        texts = []
        for fill in fills:
            places = [str(self.source.bands[self.positions[each]]) for each in fill.bands]
            bands = shorten(places, 20)
            where = f" (not everywhere in all bands, but in {bands})" if fill.partly else ""
            verb = "is" if fill.pixels == 1 else "are"
            texts.append(f"{fill.pixels:,} {verb} {self._text(fill.value)}{where}")
        return f"of {self.values.shape[1]:,} sampled pixels {' and '.join(texts)}"

    def nodata(self, fills: Sequence[Fill]) -> list[str]:
        """The values as an option takes them, beside the declared one that they replace."""
        values = [self._text(fill.value) for fill in fills]
        if self.source.nodata is not None:
            values = [number_text(self.source.stored(self.source.nodata)), *values]
        return values

    def fills_line(self, fills: Sequence[Fill], value_range: str, remedy: Remedy) -> str:
        """What was found, and what to do about it."""
        if any(fill.partly for fill in fills) or not remedy.nodata:
            do = remedy.without_option().declare([self._text(fill.value) for fill in fills])
        else:
            do = remedy.declare(self.nodata(fills))
        return (
            f"{self.source.path}: {self.counts(fills)}, far from all others; if they mean no data, "
            f"{do}; if they are measured, {remedy.measured.format(value_range)}"
        )

    def refuse_impossible(self, limits: Range, remedy: Remedy, option: str) -> None:
        """Refuse what nobody can have measured, as `refuse_impossible` does.

        Args:
            limits: the lowest and the highest value that can be measured.
            remedy: of the command.
            option: the range as the remedy names it.

        Raises:
            MisfitError: there is some.
        """
        for position, values in zip(self.positions, self.values, strict=True):
            found = values[impossible(values, limits)]
            if found.size:
                _refuse(self.source, position, found, limits, remedy, option, "")

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
        option = remedy.declare(self.nodata([Fill(found[0], 0, 0, ())]))
        return [
            f"{self.source.path}: {found[1]:.0%} of its border is {self._text(found[0])} in all "
            f"bands; if this means no data, {option}, which also masks such "
            "pixels elsewhere"
        ]


def check_image(source: Source, value_range: ValueRange | None, remedy: Remedy) -> list[str]:
    """What a user should know about the values of an image with labels, one line each.

    Args:
        source: the image.
        value_range: the lowest and the highest value that can be measured; None where that is not
            known, and what is found is a warning.
        remedy: of the command.

    Raises:
        MisfitError: it holds values outside the range that seem to be no measurements.
    """
    warnings = []
    for part, positions in source.parts:
        is_beside = positions[0] in source.beside
        ranges: list[Range | None] = [None] * len(positions)
        if value_range is not None:
            every = per_band(value_range, len(source.bands))
            ranges = [every[position] for position in positions]
        look = Look.at(part, border_only=part.dtype == "uint8")
        help_ = remedy.without_option() if is_beside else remedy
        if not is_beside:
            warnings += look.border_warning(ranges[0] or (0, 0), help_)
        if part.dtype == "uint8":
            continue
        for limits in dict.fromkeys(ranges):
            group = look.of([place for place, each in enumerate(ranges) if each == limits])
            warnings += _check_group(group, limits, help_)
    return warnings


def _check_group(look: Look, limits: Range | None, remedy: Remedy) -> list[str]:
    """The same of bands that have one range."""
    fills = find_fills(look.values, limits)
    if limits is None:
        return [look.fills_line(fills, "", remedy)] if fills else []
    if fills:
        raise MisfitError(look.fills_line(fills, ranges_text(limits), remedy))
    look.refuse_impossible(limits, remedy, ranges_text(limits))
    return []


def refuse_impossible(
    source: Source,
    pixels: NDArray[Any],
    valid: NDArray[np.bool_],
    value_range: ValueRange,
    remedy: Remedy,
    place: tuple[int, int] | None = None,
) -> None:
    """Refuse pixels that hold values which nobody can have measured.

    Args:
        source: the raster.
        pixels: ``(bands, ...)`` in the source's dtype.
        valid: one less axis.
        value_range: the lowest and the highest value that can be measured.
        remedy: of the command.
        place: row and column of the first pixel, where they have two axes.

    Raises:
        MisfitError: there are some; it names value, count and place.
    """
    ranges = per_band(value_range, len(source.bands))
    for position, (values, limits) in enumerate(zip(pixels, ranges, strict=True)):
        if not may_be_impossible(values, limits):
            continue
        where = impossible(values, limits) & valid  # a mask of all bands would be large
        if where.any():
            at = ""
            if place is not None:
                row, col = np.unravel_index(where.argmax(), where.shape)
                at = f", the first at row {place[0] + row}, column {place[1] + col}"
            option = ranges_text(value_range if remedy.of_all else limits)
            _refuse(source, position, values[where], limits, remedy, option, at)


def _refuse(
    source: Source,
    position: int,
    values: NDArray[Any],
    limits: Range,
    remedy: Remedy,
    option: str,
    at: str,
) -> NoReturn:
    """Refuse impossible values of a band, which may be that of a file beside the image."""
    part, positions = next(each for each in source.parts if position in each[1])
    if position in source.beside:
        remedy = remedy.without_option()
        at = at and f"{at} of {source.path.name}"
    found = _impossible_values(part, values)
    low, high = map(number_text, limits)
    raise MisfitError(
        f"{part.path}: holds {counted(len(values), 'value')} far beyond {low} to {high} in band "
        f"{part.bands[positions.index(position)]} ({','.join(found)}){at}; if they mean no data "
        f"in all bands, {remedy.declare(found)}; else {remedy.measured.format(option)}",
        value_range=option,
    )


def _impossible_values(source: Source, values: NDArray[Any]) -> list[str]:
    """The most frequent values, as an option takes them."""
    distinct, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_NAMED]
    return [number_text(source.stored(float(distinct[index]))) for index in order]
