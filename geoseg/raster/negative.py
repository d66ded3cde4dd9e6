"""Values that are stored as a negative: TIFFs of photometric MinIsWhite, and VRTs of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import SourceError
from geoseg.foreign import MOST_XML, is_elsewhere, read_head
from geoseg.raster.content import raster_driver, tiff_is_negative
from geoseg.raster.gdal import open_dataset
from geoseg.raster.references import follow_references
from geoseg.report import shorten

_STRUCTURE = "IMAGE_STRUCTURE"
"""The domain in which GDAL says how values are stored."""
_NO_IMAGES = (".aux.xml", ".aux", ".ovr", ".msk")
_COMPUTED = re.compile(
    rb"(?i)(<|&lt;)(ScaleRatio|ScaleOffset|SrcMin|DstMin|LUT|Exponent|ColorTableComponent"
    rb"|PixelFunctionType|SpectralBand|PanchroBand)"
)
"""What makes other values of those in the files below a VRT."""


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
        below = _look_below(path)
        if not below.negatives:
            return None, ""
        if below.others and not as_stored:
            raise SourceError(
                f"{path}: mixes negatives (MinIsWhite: {_names(below.negatives)}) with others "
                f"({_names(below.others)}); turn the negatives round first "
                "(gdal_translate -scale 0 255 255 0 FILE POSITIVE.tif)"
            )
        what = f"is made of negatives (MinIsWhite, 0 is white: {_names(below.negatives)})"
        if below.computed:
            return None, f"{what}; it computes others from their values, taken as they are"
        black = below.blacks.pop() if len(below.blacks) == 1 else None
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


@dataclass(slots=True)
class _Below:
    """The images that a VRT or a tile index is made of."""

    negatives: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    blacks: set[int | None] = field(default_factory=set)
    """Of the negatives."""
    computed: bool = False
    """Whether values are changed on the way."""


def _look_below(path: Path) -> _Below:
    """What lies below a VRT. Files on servers count as positive: asking each takes too long."""
    below = _Below(computed=_computes(path))
    for name in follow_references(path):
        file = Path(name)
        if name.lower().endswith(_NO_IMAGES):
            continue
        driver = "" if is_elsewhere(name) else raster_driver(file)
        if driver in ("VRT", "GTI"):
            below.computed |= _computes(file)
        elif driver == "GTiff" and tiff_is_negative(file):
            below.negatives.append(file)
            with open_dataset(file) as negative:
                below.blacks.add(_highest(negative, 1))
        elif driver is not None:
            below.others.append(file)
    return below


def _computes(path: Path) -> bool:
    return _COMPUTED.search(read_head(path, MOST_XML)) is not None


def _names(files: Sequence[Path]) -> str:
    return shorten((file.name for file in files), 3)
