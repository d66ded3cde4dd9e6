"""Values of options from what was given: text of the command line, or values of Python."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from geoseg.errors import ConfigError
from geoseg.memory import parse_size
from geoseg.value_ranges import ValueRange

Reader = Callable[[str, Any], Any]
"""Takes an option's name and what was given for it; raises `ConfigError` where that is wrong."""


def refuse_unknown(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse names that are no options, with the nearest one that is.

    Raises:
        ConfigError: there is one.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"option {name!r} is unknown{hint}")


def number_of(kind: type[int] | type[float], *, word: str | None = None) -> Reader:
    """Reads one number; 2.5 is not a whole number.

    Args:
        kind: int for whole numbers.
        word: what may be given in place of a number.
    """
    wanted = ("one whole number" if kind is int else "one number") + (
        f", or {word}" if word else ""
    )

    def read(name: str, given: Any) -> Any:
        if word is not None and given == word:
            return given
        (number,) = _numbers(name, given, [given], kind, wanted)
        return number

    return read


def numbers_of(kind: type[int] | type[float]) -> Reader:
    """Reads several numbers, or text in which commas separate them.

    Args:
        kind: int for whole numbers.
    """
    wanted = f"{'whole numbers' if kind is int else 'numbers'} separated by commas"

    def read(name: str, given: Any) -> tuple[Any, ...]:
        return _numbers(name, given, items(given), kind, wanted)

    return read


def size(name: str, given: Any) -> int:
    """Bytes: a whole number of them, or text with a unit."""
    found = parse_size(given) if isinstance(given, str) else None
    if isinstance(given, int) and not isinstance(given, bool):
        found = given
    if found is None or found < 1:
        raise ConfigError(f"{name} {given!r}: give a size with its unit, such as 2GiB or 1500MB")
    return found


def value_range(name: str, given: Any) -> ValueRange:
    """The lowest and the highest value; or those of each band, one after the other or in pairs."""
    flat = [each for item in items(given) for each in (items(item) if is_list(item) else [item])]
    numbers = numbers_of(float)(name, flat)
    if len(numbers) % 2 or not numbers:
        raise ConfigError(
            f"{name} {given!r}: give two numbers, such as 0,65535, or two for each band"
        )
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return pairs[0] if len(pairs) == 1 else pairs


def is_list(given: Any) -> bool:
    """Whether it is several things, and no text."""
    return isinstance(given, Iterable) and not isinstance(given, str)


def flag(name: str, given: Any) -> bool:
    """True or False, nothing else."""
    if not isinstance(given, bool):
        raise ConfigError(f"{name} {given!r}: give true or false")
    return given


def text(name: str, given: Any) -> str:  # noqa: ARG001
    """What is given as text: a `torch.device` too."""
    return str(given)


def words(name: str, given: Any) -> tuple[str, ...]:  # noqa: ARG001
    """Words in lower case, each once; ``none`` stands for no word."""
    names = tuple(dict.fromkeys(str(item).strip().lower() for item in items(given or ())))
    return () if names == ("none",) else names


def bands(name: str, given: Any) -> tuple[int | str, ...]:
    """Bands by their numbers or names."""
    return tuple(_band(name, given, band) for band in items(given))


def or_none(read: Reader) -> Reader:
    """Reads what `read` reads, and leaves None."""
    return lambda name, given: None if given is None else read(name, given)


def items(given: Any) -> list[Any]:
    """What commas separate in text; the members of a collection; else the one thing itself."""
    if isinstance(given, str):
        return given.split(",")
    return list(given) if isinstance(given, Iterable) else [given]


def _band(name: str, given: Any, band: Any) -> int | str:
    """A band's number, or its name where it is no number."""
    if isinstance(band, str):
        try:
            float(band)
        except ValueError:
            return band.strip()
    wanted = "names or whole numbers separated by commas"
    (number,) = _numbers(name, given, [band], int, wanted)
    return int(number)


def _numbers(
    name: str, given: Any, numbers: list[Any], kind: type[int] | type[float], wanted: str
) -> tuple[Any, ...]:
    """The items as this kind of number.

    Raises:
        ConfigError: one is not a number of that kind.
    """
    try:
        values = [kind(item) for item in numbers]
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name} {given!r}: give {wanted}") from None
    for item, value in zip(numbers, values, strict=True):
        # NaN, a nodata value like any other, differs from itself.
        if isinstance(item, bool) or (not isinstance(item, str) and value != item and item == item):
            raise ConfigError(f"{name} {given!r}: give {wanted}")
    return tuple(values)
