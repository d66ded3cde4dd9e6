"""Pixels of each value of a raster, told with its object in a bucket: none is fetched for that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.stores import StorePath

_NAME = "counts"
_LONGEST = 1500
"""Characters; an object has 2 kB for all that is told of it."""


def counts_as_facts(counts: NDArray[np.int64]) -> dict[str, str]:
    """Facts about an object, if there are not too many values: ``value:pixels,value:pixels``.

    Args:
        counts: of each value 0..255.
    """
    text = ",".join(f"{value}:{counts[value]}" for value in np.flatnonzero(counts))
    return {_NAME: text} if len(text) <= _LONGEST else {}


def read_counts(path: StorePath) -> NDArray[np.int64] | None:
    """What `counts_as_facts` was given; None where an object tells nothing of it."""
    text = path.fact(_NAME)
    if not text:
        return None
    counts = np.zeros(256, np.int64)
    for pair in text.split(","):
        value, pixels = map(int, pair.split(":"))
        counts[value] = pixels
    return counts
