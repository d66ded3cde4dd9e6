"""Values that mean "no data": as a file's type holds them, and as messages write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import SourceError
from geoseg.value_ranges import ValueRange, per_band, shortest

_WHOLE = 2**53
"""Whole numbers below it are written without an exponent: every one of them is a float64."""


def given_values(nodata: float | Sequence[float] | None) -> tuple[float, ...]:
    """What a caller gives as nodata, as values: none, one or several."""
    if nodata is None:
        return ()
    return tuple(nodata) if isinstance(nodata, Sequence) else (nodata,)


def as_stored(value: float | None, dtype: str) -> Any:
    """A nodata value as pixels of this type hold it: 0.1 is another number in float32."""
    if value is None or np.dtype(dtype).kind != "f":
        return value
    with np.errstate(over="ignore"):  # infinite, and so invalid like every pixel that is
        return float(np.dtype(dtype).type(value))


def refuse_impossible(path: Path, dtypes: Sequence[str], values: Sequence[float]) -> None:
    """Refuse a given value that no pixel can have: it would mask nothing, without a word.

    Args:
        path: the file, for the message.
        dtypes: numpy's names of the types of the bands that are read.
        values: given as nodata.

    Raises:
        SourceError: a band's type cannot hold one of them.
    """
    for value in values:
        for dtype in dtypes:
            low, high = _limits(dtype)
            if not _can_hold(dtype, value):
                raise SourceError(
                    f"{path}: nodata {number_text(value)} cannot occur in {dtype} pixels "
                    f"({number_text(low)} to {number_text(high)}); "
                    "give the value that the file holds, or leave it out"
                )


def number_text(value: float) -> str:
    """A number in all digits that it takes to read the same one back; whole ones plainly."""
    number = float(value)
    whole = number.is_integer() and abs(number) < _WHOLE
    return str(int(number)) if whole else repr(number)


def ranges_text(value_range: ValueRange) -> str:
    """Ranges of values as an option takes them: ``LO,HI``, or of bands that differ one by one."""
    least = shortest(per_band(value_range, None))
    return ",".join(number_text(end) for pair in per_band(least, None) for end in pair)


def _limits(dtype: str) -> tuple[float, float]:
    limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def _can_hold(dtype: str, value: float) -> bool:
    """Whether a pixel of this type can have the value, if need be rounded as the type does."""
    if np.dtype(dtype).kind == "f":
        return math.isfinite(as_stored(value, dtype)) or not math.isfinite(value)
    low, high = _limits(dtype)
    return low <= value <= high and float(value).is_integer()
