"""Values that are no measurements, told from the values alone: arithmetic without files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_REPEATED = 4
"""Pixels. A fill value is repeated; a dead pixel is not."""
_LEAST_DISTINCT = 4
"""Distinct values. Among fewer, none can be told to lie apart without a known range."""
_GAP, _SINGLE_GAP = 0.5, 8
"""Widths of all other values that must lie between them and a fill value, or a single one."""
_MOST_FILLS = 4
"""A band's distinct fill values; beyond it, they are its distribution."""
_MOST_SINGLE = 8
"""Impossible values that are named one by one."""
_REACH = 8
"""Widths of the range beyond which nothing is measured: glints stay below."""
_USUAL_FILLS = (-9999, -32768, -32767, -99999)
"""Usual fill values that are not far from ranges of whole numbers."""
_LEAST_BORDER = 0.1
"""Share of a raster's border. Black roofs and white ones are shorter."""


@dataclass(frozen=True, slots=True)
class Fill:
    """A value that seems to mean no data."""

    value: float
    pixels: int
    """That have it in any band."""
    partly: int
    """Of these, those that have other values in other bands."""
    bands: tuple[int, ...]
    """Positions of the bands that have it."""


def find_fills(values: NDArray[Any], value_range: tuple[float, float] | None = None) -> list[Fill]:
    """Repeated values far from all others; with a range, those outside it, and few impossible ones.

    Args:
        values: ``(bands, pixels)``, all finite.
        value_range: the lowest and the highest value that can be measured, where that is known.
    """
    found = {value for band in values for value in _isolated(band, value_range)}
    if value_range is not None and may_be_impossible(values, value_range):
        single = set(np.unique(values[impossible(values, value_range)]).tolist())
        found |= single if len(single) <= _MOST_SINGLE else set()
    return [_fill(values, value) for value in sorted(found)]


def without(values: NDArray[Any], fills: Iterable[Fill]) -> NDArray[Any]:
    """The single values, flat, that are none of the fills."""
    return values[~np.isin(values, [fill.value for fill in fills])]


def impossible(pixels: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.bool_]:
    """Where values cannot be measured: far beyond the range, or usual fill values below it.

    Args:
        pixels: of any shape and dtype.
        value_range: the lowest and the highest value that can be measured.
    """
    bottom, top, below = _limits(value_range)
    return (pixels < bottom) | (pixels > top) | np.isin(pixels, below)


def may_be_impossible(pixels: NDArray[Any], value_range: tuple[float, float]) -> bool:
    """Whether `impossible` may find anything, valid or not: a quick answer for many pixels."""
    if not pixels.size:
        return False
    bottom, top, below = _limits(value_range)
    least = max([bottom, *below])
    if pixels.dtype.kind != "f":
        limits = np.iinfo(pixels.dtype)
        if limits.min > least and limits.max <= top:
            return False
    # Unlike min and max, these pass over NaN.
    low, high = np.fmin.reduce(pixels, axis=None), np.fmax.reduce(pixels, axis=None)
    return bool(low <= least or high > top)


def border_fill(
    border: NDArray[Any], valid: NDArray[np.bool_], suspects: Iterable[float]
) -> tuple[float, float] | None:
    """A value that all bands share along a long stretch of a raster's border.

    Args:
        border: ``(bands, pixels)`` in order around the raster.
        valid: ``(pixels,)``
        suspects: the values that are looked for.

    Returns:
        The value, and the share of the border that it fills.
    """
    alike = valid & (border == border[0]).all(axis=0)
    for value in suspects:
        filled = alike & (border[0] == value)
        if _longest_run(filled) >= _LEAST_BORDER * filled.size:
            return value, float(filled.mean())
    return None


def _isolated(band: NDArray[Any], value_range: tuple[float, float] | None) -> list[float]:
    """The fill values of one band, taken off both ends of its sorted values."""
    distinct, counts = np.unique(band, return_counts=True)
    distinct = distinct.astype(np.float64)
    found: list[float] = []
    least_left = _LEAST_DISTINCT if value_range is None else 2
    while len(distinct) >= least_left:
        size, at_start = _loose_end(distinct, counts, value_range)
        if not size:
            break
        end = slice(0, size) if at_start else slice(len(distinct) - size, None)
        found += distinct[end][counts[end] >= _LEAST_REPEATED].tolist()
        distinct, counts = np.delete(distinct, end), np.delete(counts, end)
    return found if len(found) <= _MOST_FILLS else []


def _loose_end(
    distinct: NDArray[np.float64],
    counts: NDArray[np.int64],
    value_range: tuple[float, float] | None,
) -> tuple[int, bool]:
    """How many values at an end lie far from all others, and whether it is the lower end."""
    low, high = value_range or (0.0, 0.0)
    nearest = _GAP * (high - low)
    for size in range(1, min(_MOST_FILLS, len(distinct) - 1) + 1):
        for at_start in (True, False):
            group = slice(0, size) if at_start else slice(-size, None)
            rest = distinct[size:] if at_start else distinct[:-size]
            values, repeated = distinct[group], bool((counts[group] >= _LEAST_REPEATED).all())
            if size > 1 and not repeated:
                continue
            gap = rest[0] - values[-1] if at_start else values[0] - rest[-1]
            least_gap = (_GAP if repeated else _SINGLE_GAP) * max(rest[-1] - rest[0], high - low)
            outside = value_range is None or bool(
                ((values < low - nearest) | (values > high + nearest)).all()
            )
            # Without a range they are told by being alone below 0.
            lowest = low if value_range is not None else 0.0
            usual = bool((np.isin(values, _USUAL_FILLS) & (values < lowest)).all())
            usual &= at_start and (value_range is not None or rest[0] >= lowest)
            if (outside and gap > least_gap) or (usual and repeated):
                return size, at_start
    return 0, True


def _fill(values: NDArray[Any], value: float) -> Fill:
    where = values == np.asarray(value, values.dtype)
    somewhere = where.any(axis=0)
    pixels = int(somewhere.sum())
    bands = tuple(np.flatnonzero(where.any(axis=1)).tolist())
    return Fill(value, pixels, pixels - int(where.all(axis=0).sum()), bands)


def _limits(value_range: tuple[float, float]) -> tuple[float, float, list[int]]:
    """The lowest and highest value that may be measured, and the usual fills below the range."""
    low, high = value_range
    reach = _REACH * (high - low)
    return low - reach, high + reach, [value for value in _USUAL_FILLS if value < low]


def _longest_run(flags: NDArray[np.bool_]) -> int:
    """Length of the longest run of True around a circle."""
    gaps = np.flatnonzero(~flags)
    if not gaps.size:
        return flags.size
    return int(np.diff(gaps, append=gaps[0] + flags.size).max()) - 1
