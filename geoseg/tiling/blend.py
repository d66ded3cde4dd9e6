"""Weights that fade a window out where its neighbours see further than it does.

A window's prediction is worst at its edge, where the network looks at padding instead of ground. So
weights fall linearly across the overlap, and never to zero: each pixel keeps a positive sum
whatever the overlap is. At the edge of the raster the weight stays 1, as no neighbour sees further
there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def edge_weights(window: int, overlap: int, *, first: bool, last: bool) -> NDArray[np.float32]:
    """``(window,)`` float32 weights in (0, 1] along one axis of a window.

    Args:
        window: side of the window, pixels.
        overlap: pixels shared with the next window; the ramps are that long.
        first: the window starts at the raster's edge, so its first side does not fade.
        last: likewise for its other side.
    """
    steps = np.arange(1, window + 1).astype(np.float32) / np.float32(overlap + 1)
    weights = np.ones(window, np.float32)
    if not first:
        weights = np.minimum(weights, steps)
    if not last:
        weights = np.minimum(weights, steps[::-1])
    return weights


def weight_totals(
    starts: Sequence[int], length: int, window: int, overlap: int
) -> NDArray[np.float32]:
    """``(length,)`` float32: the sum of all windows' weights over each pixel of one axis.

    Weights are separable, so the weight sum of a raster's pixel is the product of its row's and its
    column's total.
    """
    totals = np.zeros(starts[-1] + window, np.float32)
    for index, start in enumerate(starts):
        weights = edge_weights(window, overlap, first=index == 0, last=index == len(starts) - 1)
        totals[start : start + window] += weights
    return totals[:length]
