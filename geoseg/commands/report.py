"""What every command gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a command; the command line prints it, Python callers read it."""

    text: str
    """What a person reads: a few lines."""
    data: dict[str, Any] = field(default_factory=dict)
    """The same and more, ready for JSON (``--json`` prints it)."""
    exit_code: int = 0
    """0: all done; 1: some inputs were refused or failed, the others are done."""


def finite(value: Any) -> Any:
    """The same document with NaN and infinities as text, which JSON can hold."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
