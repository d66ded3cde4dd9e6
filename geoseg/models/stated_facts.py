"""Facts of a card as the maker of a model states them: their types are checked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoseg.classes import ClassScheme
from geoseg.errors import ModelError, shown
from geoseg.value_ranges import ValueRange, as_value_range

_EXAMPLES = {"classes": ["road", "roof"], "bands": ["red", "green", "blue"]}
_NUMBERS = "give a number for each band, such as [110, 100, 90]"


def stated_facts(
    *,
    classes: Sequence[str] | ClassScheme,
    colors: Sequence[Sequence[int]] | None,
    bands: Sequence[str],
    value_range: Sequence[float] | Sequence[Sequence[float]],
    mean: Sequence[float],
    std: Sequence[float],
) -> dict[str, Any]:
    """The facts as a card holds them; lists, tuples, arrays and tensors are taken alike.

    Args:
        classes: names in the order of the network's channels, or their scheme.
        colors: RGB of each name; made up where left out.
        bands: names in order.
        value_range: lowest and highest value, or such a pair for each band.
        mean: of each band.
        std: likewise.

    Raises:
        ModelError: a fact has another type, or the classes make no sense.
    """
    return {
        "classes": _scheme(classes, colors),
        **facts_of_bands({"bands": bands, "value_range": value_range, "mean": mean, "std": std}),
    }


def facts_of_bands(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Names, ranges, means and deviations of bands as a card holds them.

    Raises:
        ModelError: one has another type.
    """
    return {
        "bands": _names("bands", facts["bands"]),
        "value_range": _range(facts["value_range"]),
        "mean": _numbers("mean", facts["mean"]),
        "std": _numbers("std", facts["std"]),
    }


def _scheme(
    classes: Sequence[str] | ClassScheme, colors: Sequence[Sequence[int]] | None
) -> ClassScheme:
    if not isinstance(classes, ClassScheme):
        return ClassScheme.from_names(_names("classes", classes), colors)
    if colors is not None:
        raise ModelError("colors are given with a ClassScheme that has its own; leave them out")
    return classes


def _names(what: str, given: Any) -> tuple[str, ...]:
    advice = f"give a list of names, such as {_EXAMPLES[what]}"
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ModelError(f"{what} {shown(given)}: {advice}")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise ModelError(f"{what}: {shown(name)} is no name; {advice}")
    return names


def _numbers(what: str, given: Any) -> tuple[float, ...]:
    if isinstance(given, str):
        raise ModelError(f"{what} {shown(given)}: {_NUMBERS}")
    try:
        return tuple(map(float, given))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{what} {shown(given)}: {_NUMBERS}") from error


def _range(given: Any) -> ValueRange:
    try:
        return as_value_range(given)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"value_range {shown(given)}: give the lowest and the highest value, such as (0, 255)"
        ) from error
