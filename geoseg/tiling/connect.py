"""Sets of things that belong together, found from pairs that do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def connect(
    count: int, one: NDArray[np.int32], other: NDArray[np.int32]
) -> tuple[int, NDArray[np.int32]]:
    """How many connected sets the numbers 0..count-1 form, and the set of each number.

    Sets are numbered in the order of their least members: scipy labels each number that it has not
    yet reached, from 0 upwards, with all that it reaches. Regions and polygons keep that order.

    Args:
        count: how many numbers there are.
        one: numbers that belong together with those in `other`, pair by pair.
        other: of the same size.
    """
    # They take a while to import, and only polygons need them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(one.size, np.bool_), (one, other)), shape=(count, count))
    sets, set_of_number = connected_components(pairs)
    return int(sets), set_of_number
