"""Whether a raster fits a model, and the options with which it does: one check for all commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.errors import ConfigError, GeosegError, MisfitError, SourceError
from geoseg.inference.interest import AreaOfInterest
from geoseg.inference.options import PredictOptions
from geoseg.models import Card
from geoseg.raster import Source, check_source, stack
from geoseg.raster.bands import named_bands, order_by_name
from geoseg.raster.companions import companions
from geoseg.tiling import TileGrid
from geoseg.vector import FORMATS, no_crs

_ALIKE = 0.01
"""Difference of ground samplings that is none."""
_MOST_REFUSALS = 8
"""Followed one after the other: of bands, values, range, and what comes to light after these."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a raster is given to a model."""

    options: dict[str, str] = field(default_factory=dict)
    """Of ``geoseg predict``, by name with underscores, as one types their values; empty where none
    is needed, and where none helps."""
    reasons: tuple[str, ...] = ()
    """The refusals that led to them: what an option rests on may be for the user to know."""
    warnings: tuple[str, ...] = ()
    """What ``predict`` warns of with these options."""
    refusal: str = ""
    """Why no options help; empty where the raster fits."""

    @property
    def arguments(self) -> str:
        """The options as part of a command line, quoted where needed."""
        given: list[str] = []
        for name, text in self.options.items():
            option = f"--{name.replace('_', '-')}"
            # A value that begins with a minus would be taken for an option.
            given += [f"{option}={text}"] if text.startswith("-") else [option, text]
        return shlex.join(given)


def open_fitting(
    path: Path, card: Card, options: PredictOptions, area: AreaOfInterest | None = None
) -> tuple[Source, TileGrid, list[str]]:
    """A raster opened as the options say and checked against a model's card: see `fit`."""
    return fit(open_for(path, card, options), card, options, area)


def open_for(path: Path, card: Card, options: PredictOptions) -> Source:
    """A raster opened as the options say, its bands those of a model where names decide.

    Raises:
        SourceError: it cannot be read, or a file beside it that holds more bands is missing.
        ConfigError: an option has no sense for it.
    """
    return stack(
        [path, *companions(path, options.stack)],
        bands=options.bands,
        wanted=card.bands,
        nodata=options.nodata,
        crs=options.crs,
    )


def fit(
    source: Source, card: Card, options: PredictOptions, area: AreaOfInterest | None = None
) -> tuple[Source, TileGrid, list[str]]:
    """An open source checked against a model's card.

    Args:
        source: from `open_for`, or made of such.
        card: of the model.
        options: of ``geoseg predict``.
        area: what of it is wanted; None: all.

    Returns:
        The source, its lattice of windows, and what the user should know, one line each.

    Raises:
        OutsideError: the area lies elsewhere.
        SourceError: it cannot be read, or does not fit.
        ConfigError: an option has no sense for it.
        TilingError: window and overlap do not fit each other.
    """
    warnings = check_source(
        source,
        bands=card.bands,
        value_range=card.value_range,
        ground_sampling=None if options.resample else card.ground_sampling,
        source_range=options.value_range,
    )
    for name in options.vectors:
        if FORMATS[name].needs_crs and source.crs is None:
            raise SourceError(no_crs(source.path, name))
    if options.resample:
        source = _at_ground_sampling_of(card, source, back=options.output_grid == "source")
    grid = options.grid(card, source)
    if area is not None:
        source = source.clip(area.on(source, grid.reach, crop=options.crop))
    return source, grid, warnings


def _at_ground_sampling_of(card: Card, source: Source, *, back: bool) -> Source:
    """A source with pixels as large as a model's; as it is where they are within a hundredth."""
    wanted = card.ground_sampling
    if wanted is None:
        raise ConfigError(
            "resample: the model's card names no ground sampling; leave the option out, or train "
            "with data.ground_sampling"
        )
    resampled = source.resample(wanted, back=back)
    same = all(abs(scale - 1) <= _ALIKE for scale in resampled.scale)
    return source if same else resampled


def find_fit(path: Path, card: Card, patterns: Sequence[str] = ()) -> Fit:
    """The options that a raster needs for a model: the advice of each refusal, followed.

    Args:
        path: the raster.
        card: of the model.
        patterns: of files that hold more of its bands.

    Bands that are chosen by name are named, so that the choice is seen.
    """
    options: dict[str, str] = {}
    reasons: list[str] = []
    refusal = ""
    for _ in range(_MOST_REFUSALS):
        try:
            given = PredictOptions.from_keywords(stack=patterns, **options)
            source, _, warnings = open_fitting(path, card, given)
        except MisfitError as misfit:
            refusal = str(misfit)
            if misfit.options.items() <= options.items():
                break
            options |= misfit.options
            reasons.append(refusal)
            continue
        except GeosegError as error:
            refusal = str(error)
            break
        in_order = source.bands == tuple(range(1, len(card.bands) + 1))
        by_name = order_by_name(card.bands, source.file_bands) == source.bands
        if "bands" in options or in_order or not by_name:
            return Fit(options, tuple(reasons), tuple(warnings))
        options["bands"] = named_bands(card.bands, source.file_bands)
        reasons.append(f"{path}: its bands are chosen by their names")
    return Fit(refusal=refusal)
