"""The values from black to white: one range for all bands of a raster, or one for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

Range = tuple[float, float]
"""The lowest and the highest value."""
ValueRange = Range | tuple[Range, ...]
"""Of all bands, or a pair for each: a surface model in metres lies beside bytes."""


def per_band(value_range: ValueRange, bands: int | None) -> tuple[Range, ...]:
    """The range of each band.

    Args:
        value_range: of all bands, or of each.
        bands: how many there are; None: as many as it says.

    Raises:
        ValueError: there are ranges for another number of bands.
    """
    if not is_per_band(value_range):
        return (cast("Range", value_range),) * (bands or 1)
    if bands not in (None, len(value_range)):
        raise ValueError(f"{len(value_range)} ranges of values for {bands} bands")
    return cast("tuple[Range, ...]", value_range)


def shortest(ranges: Iterable[Range]) -> ValueRange:
    """One pair where all bands have the same, else all of them."""
    every = tuple(ranges)
    return every[0] if len(set(every)) == 1 else every


def as_value_range(given: Sequence[Any]) -> ValueRange:
    """Numbers, or pairs of numbers, as a model's card holds them."""
    pairs = is_per_band(given)
    found = (tuple(map(float, each)) if pairs else float(each) for each in given)
    return cast("ValueRange", tuple(found))


def as_lists(value_range: ValueRange) -> list[Any]:
    """The same as JSON holds it."""
    return [list(each) if isinstance(each, tuple) else each for each in value_range]


def ranges_words(value_range: ValueRange) -> str:
    """The same for people: ``0 to 255``, or of several bands ``0 to 255, 0 to 255, 0 to 60``."""
    return ", ".join(f"{low:.10g} to {high:.10g}" for low, high in per_band(value_range, None))


def is_per_band(given: Any) -> bool:
    """Whether it is a pair for each band."""
    return isinstance(given, Sequence) and bool(given) and isinstance(given[0], Sequence)
