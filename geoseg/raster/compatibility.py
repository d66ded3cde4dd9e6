"""Whether a source fits a model: bands, value range, ground sampling.

Nothing is guessed: what does not fit is refused with the option that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

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
from geoseg.raster.nodata import ranges_text
from geoseg.raster.source import Source
from geoseg.raster.value_checks import check_values
from geoseg.report import shorten
from geoseg.value_ranges import ValueRange, per_band

_SAMPLING_RATIOS = (0.8, 1.25)


def check_source(
    source: Source,
    *,
    bands: Sequence[str],
    value_range: ValueRange,
    ground_sampling: float | None,
    source_range: ValueRange | None = None,
) -> list[str]:
    """What a user should know before a model runs on `source`, one line each.

    Args:
        source: the input.
        bands: the model's band names, in its order.
        value_range: the values that the model was trained on, lowest and highest possible; a pair
            for each band where they differ.
        ground_sampling: the model's, in metres; not checked without it.
        source_range: the source's own lowest and highest possible value; then values are rescaled
            and clipped, and what does not fit is a warning.

    Raises:
        SourceError: bands or values do not fit; the message names the option that helps.
        ConfigError: `source_range` is not a range.
    """
    warnings = list(source.warnings)
    warnings += check_bands(source, bands)
    if source_range is not None:
        _refuse_wrong_range(source_range, bands)
    warnings += check_values(source, value_range, source_range)
    sampling = source.ground_sampling
    if ground_sampling and sampling:
        ratio = sampling / ground_sampling
        if not _SAMPLING_RATIOS[0] <= ratio <= _SAMPLING_RATIOS[1]:
            warnings.append(
                f"{source.path}: ground sampling is {sampling:.3g} m, "
                f"the model's {ground_sampling:.3g} m; expect worse results, or give --resample"
            )
    return warnings


def _refuse_wrong_range(value_range: ValueRange, bands: Sequence[str]) -> None:
    pairs = per_band(value_range, None)
    given = f"--value-range {ranges_text(value_range)}"
    if len(pairs) not in (1, len(bands)):
        raise ConfigError(
            f"{given}: {2 * len(pairs)} numbers; give two, or two for each of {', '.join(bands)}"
        )
    for pair in pairs:
        if not (np.isfinite(pair).all() and pair[0] < pair[1]):
            raise ConfigError(f"{given}: give the lowest and the highest value, lowest first")


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
    refuse_palette(source, f"the model takes {shorten(wanted, 20)}")
    needs = f"the model takes {len(wanted)} ({shorten(wanted, 20)})"
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
        marked = shorten((band.color for band in used), 20)
        return [
            f"{source.path}: its bands are marked as {marked}, the model takes "
            f"{shorten(wanted, 20)}; expect a poor result, "
            f"or say {bands_option(source.bands)} if they are the model's all the same"
        ]
    return []
