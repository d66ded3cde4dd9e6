"""Whether a source fits a model: bands, value range, ground sampling.

Nothing is guessed: what does not fit is refused with the option that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, MisfitError, SourceError
from geoseg.raster.bands import (
    bands_advice,
    bands_option,
    descriptions_contradict,
    named_bands,
    names_contradict,
    names_of,
    order_by_name,
)
from geoseg.raster.below import shows_palettes
from geoseg.raster.fills import find_fills, without
from geoseg.raster.nodata import number_text
from geoseg.raster.source import Source
from geoseg.raster.undeclared import CLIPPED, PREDICT, Look, refuse_impossible

_SAMPLING_RATIOS = (0.8, 1.25)
_OUTLIERS = 0.01
"""Share of sampled pixels that may lie outside the range: glints and dead pixels."""
_LEAST_SHARE = 1 / 64
"""Values below this share of the range are taken for another scale: 0..1 in 0..255 is 1/255."""
_USUAL_LIMITS = (1, 255, 1023, 2047, 4095, 10_000, 16_383, 65_535)
_CLIPPED = 0.05
"""Share of sampled values that a given range may clip unsaid: percentiles are given as well."""


def check_source(
    source: Source,
    *,
    bands: Sequence[str],
    value_range: tuple[float, float],
    ground_sampling: float | None,
    source_range: tuple[float, float] | None = None,
) -> list[str]:
    """What a user should know before a model runs on `source`, one line each.

    Args:
        source: the input.
        bands: the model's band names, in its order.
        value_range: the values that the model was trained on, lowest and highest possible.
        ground_sampling: the model's, in metres; not checked without it.
        source_range: the source's own lowest and highest possible value; then values are rescaled
            and clipped, and what does not fit is a warning.

    Raises:
        SourceError: bands or values do not fit; the message names the option that helps.
        ConfigError: `source_range` is not a range.
    """
    warnings = list(source.warnings)
    warnings += check_bands(source, bands)
    if source_range is not None and not (
        np.isfinite(source_range).all() and source_range[0] < source_range[1]
    ):
        raise ConfigError(
            f"--value-range {_range(source_range)}: "
            "give the lowest and the highest value, lowest first"
        )
    warnings += _check_values(source, value_range, source_range)
    sampling = source.ground_sampling
    if ground_sampling and sampling:
        ratio = sampling / ground_sampling
        if not _SAMPLING_RATIOS[0] <= ratio <= _SAMPLING_RATIOS[1]:
            warnings.append(
                f"{source.path}: ground sampling is {sampling:.3g} m, "
                f"the model's {ground_sampling:.3g} m; expect worse results, or give --resample"
            )
    return warnings


def refuse_palette(source: Source, needs: str) -> None:
    """Refuse an image whose values are indices into a table of colours.

    Args:
        source: the image.
        needs: what is needed instead, for the message.

    Raises:
        SourceError: a band that is read has a palette, or the images below a VRT have.
    """
    colors = [source.file_bands[band - 1].color for band in source.bands]
    if "palette" in colors or any(map(shows_palettes, source.files)):
        raise SourceError(
            f"{source.path}: its values are palette indices, not colours; {needs}: "
            "expand it first (gdal_translate -expand rgb FILE EXPANDED.tif)"
        )


def shared_notes(sources: Iterable[Source]) -> list[str]:
    """The notes on some files, those that several share said once."""
    paths: dict[str, list[Path]] = {}
    for source in sources:
        for note in source.notes:
            paths.setdefault(note, []).append(source.path)
    return [
        f"{found[0]}: {note}" + (f" (and so {len(found) - 1} more)" if len(found) > 1 else "")
        for note, found in paths.items()
    ]


def check_bands(source: Source, wanted: Sequence[str]) -> list[str]:
    """A warning where the colours of a source's bands are not those of a model.

    Args:
        source: the input.
        wanted: the model's band names, in its order.

    Raises:
        SourceError: it has more or fewer bands, or their descriptions are others.
    """
    refuse_palette(source, f"the model takes {', '.join(wanted)}")
    needs = f"the model takes {len(wanted)} ({', '.join(wanted)})"
    if len(source.bands) != len(wanted):
        have = f"{len(source.bands)} chosen" if source.bands_chosen else str(len(source.file_bands))
        plural = "" if have == "1" else "s"
        option, advice = bands_advice(wanted, source.file_bands)
        raise MisfitError(
            f"{source.path}: {have} band{plural} ({names_of(source.file_bands)}), {needs}; "
            f"{advice}",
            **({"bands": option} if option else {}),
        )
    if source.bands_chosen:
        return []
    by_name = order_by_name(wanted, source.file_bands)
    if by_name == source.bands:
        return []
    used = [source.file_bands[band - 1] for band in source.bands]
    if descriptions_contradict(wanted, used):
        remedy = f"use {bands_option(by_name)}" if by_name else "choose them with --bands"
        raise MisfitError(
            f"{source.path}: its bands are named {names_of(used)}, {needs} in this order; "
            f"{remedy}, or {bands_option(source.bands)} if the names are wrong",
            **({"bands": named_bands(wanted, source.file_bands)} if by_name else {}),
        )
    if names_contradict(wanted, used):
        # No more than a warning: false-colour imagery is marked as red, green, blue as well.
        marked = ", ".join(band.color for band in used)
        return [
            f"{source.path}: its bands are marked as {marked}, the model takes "
            f"{', '.join(wanted)}; expect a poor result, "
            f"or say {bands_option(source.bands)} if they are the model's all the same"
        ]
    return []


def _check_values(
    source: Source, value_range: tuple[float, float], source_range: tuple[float, float] | None
) -> list[str]:
    """Refuse values on another scale, and undeclared nodata; warn of what a given range clips."""
    needs = f"the model takes {_range(value_range, ' to ')}"
    if source.dtype == "uint8" and source_range is None and tuple(value_range) != (0, 255):
        raise MisfitError(
            f"{source.path}: uint8 values (0 to 255), {needs}; "
            "say that its full range differs: --value-range 0,255",
            value_range="0,255",
        )
    look = Look.at(source)
    limits = value_range if source_range is None else source_range
    warnings = look.border_warning(limits, PREDICT)
    if source.dtype == "uint8" and source_range is None:
        return warnings
    fills = find_fills(look.values, limits)
    values = without(look.values, fills)
    if source_range is not None:
        lines = [look.fills_line(fills, _range(limits), CLIPPED)] if fills else []
        return warnings + lines + _range_warnings(source, values, limits)
    whole_numbers = np.dtype(source.dtype).kind in "iu" and tuple(value_range) == (0, 255)
    if whole_numbers or _on_another_scale(values, value_range):
        _refuse_scale(look, needs, whole_numbers=whole_numbers)
    if fills:
        masked = {} if any(fill.partly for fill in fills) else {"nodata": look.nodata(fills)}
        raise MisfitError(look.fills_line(fills, _range(value_range), PREDICT), **masked)
    every = np.ones(look.values.shape[1], np.bool_)
    refuse_impossible(source, look.values, every, value_range, PREDICT)
    return warnings


def _on_another_scale(values: NDArray[Any], limits: tuple[float, float]) -> bool:
    if values.size == 0:
        return False
    return _beyond(values, limits) > _OUTLIERS or _too_small(values, limits)


def _beyond(values: NDArray[Any], limits: tuple[float, float]) -> float:
    return float(np.mean((values < limits[0]) | (values > limits[1])))


def _too_small(values: NDArray[Any], limits: tuple[float, float]) -> bool:
    largest = max(-float(values.min()), float(values.max()))
    return bool(0 < largest < _LEAST_SHARE * max(-limits[0], limits[1]))


def _refuse_scale(look: Look, needs: str, *, whole_numbers: bool) -> NoReturn:
    """Refuse values on another scale; nodata values stand out from the others alone."""
    fills = [fill for fill in find_fills(look.values) if not fill.partly]
    values = without(look.values, fills)
    options = {"nodata": look.nodata(fills)} if fills else {}
    options["value_range"] = _range(_likely_range(values))
    advice = f"give the file's full range, like --value-range {options['value_range']}"
    if fills:
        advice += f", and if {look.counts(fills)} because they mean no data, "
        advice += PREDICT.nodata.format(options["nodata"])
    how = "values" if whole_numbers else "values on another scale"
    raise MisfitError(
        f"{look.source.path}: {look.source.dtype} {how} ({_found(values)}), {needs}; {advice}",
        **options,
    )


def _range_warnings(source: Source, values: NDArray[Any], limits: tuple[float, float]) -> list[str]:
    """A warning where a range that is given for the source does not seem to be its own."""
    if values.size == 0:
        return []
    beyond = _beyond(values, limits)
    if beyond > _CLIPPED:
        what = f"{beyond:.0%} of its sampled values lie outside and are clipped"
    elif _too_small(values, limits):
        what = "its values fill next to nothing of it"
    else:
        return []
    return [
        f"{source.path}: --value-range {_range(limits)}: {what} ({_found(values)}); if this is not "
        f"meant, give the file's full range, like --value-range {_range(_likely_range(values))}"
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


def _range(values: tuple[float, float], between: str = ",") -> str:
    return f"{number_text(values[0])}{between}{number_text(values[1])}"
