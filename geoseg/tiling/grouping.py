"""The order of things by whole numbers of a small range: counted, which is faster than sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def order_by(numbers: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Places in `numbers` such that these rise; equal ones stay in their order.

    Time and memory grow with the count of numbers, and with the range that they lie in.

    Args:
        numbers: whole ones, fewer than 2**31.
    """
    # It takes a while to import, and only polygons need it.
    from scipy.sparse import coo_array

    if not numbers.size:
        return np.empty(0, np.int32)
    least = numbers.min()
    places = np.arange(numbers.size, dtype=np.int32)
    # A sparse matrix with one entry in each column: its rows list theirs from left to right.
    shape = (int(numbers.max() - least) + 1, numbers.size)
    rows = coo_array((np.ones(numbers.size, np.bool_), (numbers - least, places)), shape=shape)
    order: NDArray[np.int32] = rows.tocsr().indices
    return order
