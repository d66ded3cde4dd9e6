"""Values that are stored as a negative: TIFFs of photometric MinIsWhite, and VRTs of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import SourceError
from geoseg.raster.below import look_below, open_below
from geoseg.raster.content import MIN_IS_WHITE
from geoseg.report import shorten

_STRUCTURE = "IMAGE_STRUCTURE"
"""The domain in which GDAL says how values are stored."""


def find_negative(
    path: Path, file: Any, used: Sequence[int], *, as_stored: bool
) -> tuple[int | None, str]:
    """The stored value of black where values are to be turned round, and what to say about it.

    A VRT hides how the files below it are stored, so that these are asked.

    Args:
        path: the raster.
        file: the open rasterio dataset.
        used: the 1-based bands that are read.
        as_stored: leave the values as they are: labels, not brightness.

    Returns:
        The value, None where values are taken as they are; a note without the path, empty where
        nothing is a negative.

    Raises:
        SourceError: negatives and others lie below a VRT.
    """
    if _is_negative(file):
        what, black = "is stored as a negative (MinIsWhite, 0 is white)", _highest(file, used[0])
    elif file.driver in ("VRT", "GTI"):
        below = look_below(path)
        negatives, others = below.having(MIN_IS_WHITE), below.lacking(MIN_IS_WHITE)
        if not negatives:
            return None, ""
        if others and not as_stored:
            raise SourceError(
                f"{path}: mixes negatives (MinIsWhite: {_names(negatives)}) with others "
                f"({_names(others)}); turn the negatives round first "
                "(gdal_translate -scale 0 255 255 0 FILE POSITIVE.tif)"
            )
        what = f"is made of negatives (MinIsWhite, 0 is white: {_names(negatives)})"
        if below.computed:
            return None, f"{what}; it computes others from their values, taken as they are"
        black = _common_black(negatives)
    else:
        return None, ""
    if as_stored:
        return None, f"{what}; its values are taken as stored"
    if black is None:
        return None, (
            f"{what}; its values are taken as stored, as their type does not say which is black; "
            "turn them round first (gdal_translate -scale LOW HIGH HIGH LOW FILE POSITIVE.tif)"
        )
    return black, f"{what}; its values are turned round, so that bright is high"


def _is_negative(file: Any) -> bool:
    return bool(file.tags(ns=_STRUCTURE).get("MINISWHITE") == "YES")


def _highest(file: Any, band: int) -> int | None:
    """The largest value that an unsigned band can store in its bits; None of another type."""
    dtype = np.dtype(file.dtypes[band - 1])
    bits = int(file.tags(band, ns=_STRUCTURE).get("NBITS", 8 * dtype.itemsize))
    return 2**bits - 1 if dtype.kind == "u" else None


def _common_black(negatives: Sequence[str]) -> int | None:
    blacks = set()
    for name in negatives:
        with open_below(name) as file:
            blacks.add(_highest(file, 1))
    return blacks.pop() if len(blacks) == 1 else None


def _names(names: Sequence[str]) -> str:
    return shorten((Path(name).name for name in names), 3)
