"""Pickles in which coordinate systems are text: to read one takes rasterio two milliseconds."""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import Any

from rasterio.crs import CRS


class Pickler(pickle.Pickler):
    """Gives coordinate systems as text, which `Unpickler` reads once."""

    def persistent_id(self, value: Any) -> str | None:
        """Their text; of other values None, which are pickled as ever."""
        return value.to_wkt() if isinstance(value, CRS) else None


class Unpickler(pickle.Unpickler):
    """The counterpart of `Pickler`; for pickles of geoseg's own alone."""

    def persistent_load(self, wkt: str) -> CRS:
        """The coordinate system of this text."""
        return crs_of(wkt)


@lru_cache(maxsize=256)
def crs_of(wkt: str) -> CRS:
    """A coordinate system that is made once."""
    return CRS.from_wkt(wkt)
