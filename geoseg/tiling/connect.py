"""Things that belong together, found from pairs that do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def connect(count: int, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
    """The least member of each of the numbers 0..count-1's connected set, given pairs that belong together."""
    root = np.arange(count, dtype=np.int32)
    while one.size:
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root, higher := root[root]):
            root = higher
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return root
