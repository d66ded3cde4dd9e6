"""What every command returns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from geoseg.errors import ConfigError

_WARNINGS = 50
"""That are printed: of 100,000 inputs, each may have some."""
_SHOWN = 8
"""Reasons that are given where no input can be used."""


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """The outcome of a command; the command line prints it, Python callers read it."""

    text: str
    """A few lines for people."""
    data: dict[str, Any] = field(default_factory=dict)
    """The same and more, ready for JSON (``--json`` prints it)."""
    exit_code: int = 0
    """0: all done; 1: some inputs were refused or failed, the others are done."""

    def __repr__(self) -> str:
        """The text, as it stands for the report in notebooks and consoles."""
        return self.text

    def __str__(self) -> str:
        """The text, with the first warnings and the reasons of all that failed below it."""
        warnings = [f"warning: {line}" for line in self.warnings]
        return "\n".join([self.text, *warnings, *self.data.get("failures", [])])

    @property
    def warnings(self) -> list[str]:
        """Those of the data for people: what is said of many inputs once, and of a lot the first.

        A warning of one input is ``NAME: WHAT``.
        """
        named: dict[str, list[str]] = {}
        for line in self.data.get("warnings", []):
            name, colon, what = line.partition(": ")
            named.setdefault(what if colon else line, []).append(name)
        lines = [
            what if names == [what] else f"{_all_named(names)}: {what}"
            for what, names in named.items()
        ]
        more = len(lines) - _WARNINGS
        ended = [f"and {more:,} more, all of them in the report (--json shows it)"]
        return lines[:_WARNINGS] + (ended if more > 0 else [])


def _all_named(names: Sequence[str]) -> str:
    """The first of the names, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"


def counted(number: int, thing: str) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def shorten(names: Iterable[str], shown: int = 6) -> str:
    """The first of some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def nothing_usable(failures: Sequence[str]) -> ConfigError:
    """The error of a run without a usable input: the first reasons, as others are often similar."""
    more = len(failures) - _SHOWN
    first = failures[:_SHOWN] or ["no input is given; name files or folders"]
    return ConfigError(
        "\n".join([*first, *([f"and {more:,} more, none can be used"] if more > 0 else [])])
    )


def finite(value: Any) -> Any:
    """The same document as JSON can hold it: NaN and infinities as text, odd names escaped."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, str):  # a file's name need not be text
        return value.encode(errors="backslashreplace").decode()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
