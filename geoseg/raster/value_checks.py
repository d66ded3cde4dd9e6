"""Whether the values of a source are those that a model was trained on, band by band.

Bands of one range are looked at together, those of each file by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import MisfitError
from geoseg.raster.fills import find_fills, without
from geoseg.raster.nodata import number_text, ranges_text
from geoseg.raster.source import Source
from geoseg.raster.undeclared import CLIPPED, PREDICT, Look, Remedy
from geoseg.value_ranges import Range, ValueRange, per_band, shortest

_OUTLIERS = 0.01
"""Share of sampled pixels that may lie outside the range: glints and dead pixels."""
_LEAST_SHARE = 1 / 64
"""Values below this share of the range are taken for another scale: 0..1 in 0..255 is 1/255."""
_USUAL_LIMITS = (1, 255, 1023, 2047, 4095, 10_000, 16_383, 65_535)
_CLIPPED = 0.05
"""Share of sampled values that a given range may clip unsaid: percentiles are given as well."""


@dataclass(frozen=True, slots=True)
class _Bands:
    """Bands of one file that have one range, and how the values of all bands are given."""

    look: Look
    needed: Range
    """The values that the model was trained on."""
    given: Range | None
    """The file's own values that mean them."""
    is_beside: bool
    """Whether the file lies beside the image: options on nodata are about the image's."""
    positions: tuple[int, ...]
    """Among all bands of the source."""
    every: tuple[Range, ...]
    """The range of each band of the source."""
    is_like_first: bool
    """Whether their range is that of the first band. Heights may be small in a flat place, where
    colours of small values have another scale."""

    def remedy(self, remedy: Remedy) -> Remedy:
        """What helps with undeclared values."""
        return remedy.without_option() if self.is_beside else remedy

    def option(self, limits: Range) -> str:
        """What ``--value-range`` would be if these bands had other limits."""
        every = list(self.every)
        for position in self.positions:
            every[position] = limits
        return ranges_text(shortest(every))


def check_values(
    source: Source, value_range: ValueRange, source_range: ValueRange | None
) -> list[str]:
    """Refuse values on another scale, and undeclared nodata; warn of what a given range clips.

    Args:
        source: the input.
        value_range: the values that the model was trained on.
        source_range: the source's own that mean them, if they are others.

    Raises:
        MisfitError: the values do not fit; it names the option that helps.
        SourceError: they cannot be read.
    """
    count = len(source.bands)
    needed = per_band(value_range, count)
    given = (None,) * count if source_range is None else per_band(source_range, count)
    every = needed if source_range is None else per_band(source_range, count)
    warnings: list[str] = []
    for part, positions in source.parts:
        kinds = [
            (needed[position], given[position], position in source.beside) for position in positions
        ]
        look = Look.at(part, border_only=part.dtype == "uint8" and source_range is None)
        if not kinds[0][2]:
            warnings += look.border_warning(kinds[0][1] or kinds[0][0], PREDICT)
        for kind in dict.fromkeys(kinds):
            places = [place for place, each in enumerate(kinds) if each == kind]
            those = tuple(positions[place] for place in places)
            bands = _Bands(look.of(places), *kind, those, every, kind[0] == needed[0])
            if part.dtype == "uint8" and bands.given is None:
                _refuse_other_than_bytes(bands)
            else:
                warnings += _check(bands)
    return warnings


def _refuse_other_than_bytes(bands: _Bands) -> None:
    """Refuse bytes for bands of another range, unless their own is given."""
    if tuple(bands.needed) != (0, 255):
        option = bands.option((0, 255))
        raise MisfitError(
            f"{bands.look.source.path}: uint8 values (0 to 255), the model takes "
            f"{_range(bands.needed, ' to ')}; say that its full range differs: "
            f"--value-range {option}",
            value_range=option,
        )


def _check(bands: _Bands) -> list[str]:
    look, limits = bands.look, bands.needed if bands.given is None else bands.given
    fills = find_fills(look.values, limits)
    values = without(look.values, fills)
    if bands.given is not None:
        remedy = bands.remedy(CLIPPED)
        lines = [look.fills_line(fills, bands.option(limits), remedy)] if fills else []
        return lines + _range_warnings(bands, values, limits)
    whole_numbers = np.dtype(look.source.dtype).kind in "iu" and tuple(limits) == (0, 255)
    if whole_numbers or _on_another_scale(bands, values):
        _refuse_scale(bands, whole_numbers=whole_numbers)
    option, remedy = bands.option(limits), bands.remedy(PREDICT)
    if fills:
        declarable = not bands.is_beside and not any(fill.partly for fill in fills)
        masked = {"nodata": ",".join(look.nodata(fills))} if declarable else {}
        raise MisfitError(look.fills_line(fills, option, remedy), **masked)
    look.refuse_impossible(limits, remedy, option)
    return []


def _on_another_scale(bands: _Bands, values: NDArray[Any]) -> bool:
    if values.size == 0:
        return False
    small = bands.is_like_first and _too_small(values, bands.needed)
    return small or _beyond(values, bands.needed) > _OUTLIERS


def _beyond(values: NDArray[Any], limits: Range) -> float:
    return float(np.mean((values < limits[0]) | (values > limits[1])))


def _too_small(values: NDArray[Any], limits: Range) -> bool:
    largest = max(-float(values.min()), float(values.max()))
    return bool(0 < largest < _LEAST_SHARE * max(-limits[0], limits[1]))


def _refuse_scale(bands: _Bands, *, whole_numbers: bool) -> NoReturn:
    """Refuse values on another scale; nodata values stand out from the others alone."""
    look = bands.look
    fills = [fill for fill in find_fills(look.values) if not fill.partly]
    values = without(look.values, fills)
    options = {"value_range": bands.option(_likely_range(values))}
    advice = f"give the file's full range, like --value-range {options['value_range']}"
    if fills:
        nodata, remedy = look.nodata(fills), bands.remedy(PREDICT)
        if not bands.is_beside:
            options["nodata"] = ",".join(nodata)
        advice += f", and if {look.counts(fills)} because they mean no data, "
        advice += remedy.declare(nodata)
    how = "values" if whole_numbers else "values on another scale"
    raise MisfitError(
        f"{look.source.path}: {look.source.dtype} {how} ({_found(values)}), the model takes "
        f"{_range(bands.needed, ' to ')}; {advice}",
        **options,
    )


def _range_warnings(bands: _Bands, values: NDArray[Any], limits: Range) -> list[str]:
    """A warning where a range that is given for bands does not seem to be their own."""
    if values.size == 0:
        return []
    beyond = _beyond(values, limits)
    if beyond > _CLIPPED:
        what = f"{beyond:.0%} of its sampled values lie outside and are clipped"
    elif _too_small(values, limits):
        what = "its values fill next to nothing of it"
    else:
        return []
    likely = bands.option(_likely_range(values))
    return [
        f"{bands.look.source.path}: --value-range {_range(limits)}: {what} ({_found(values)}); if "
        f"this is not meant, give the file's full range, like --value-range {likely}"
    ]


def _found(values: NDArray[Any]) -> str:
    if values.size == 0:
        return "no valid pixel in a sample"
    return f"{values.min():g} to {values.max():g} in a sample"


def _likely_range(values: NDArray[Any]) -> tuple[float, float]:
    """The range of a usual scale (unit, 8 bit, reflectance, ...) that holds all but outliers."""
    if values.size == 0:
        return 0.0, 65_535.0
    bottom, top = (float(value) for value in np.quantile(values, (0.001, 0.999)))
    largest = max(-bottom, top)
    limit = next((limit for limit in _USUAL_LIMITS if largest <= limit), largest)
    return (-limit if bottom < 0 else 0.0), limit


def _range(values: Range, between: str = ",") -> str:
    return f"{number_text(values[0])}{between}{number_text(values[1])}"
