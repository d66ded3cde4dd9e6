"""Class rasters with shape: blobs as a network draws them, and the corner cases by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

CORNER_CASES = {
    "one pixel": "0",
    "one class": "000 000",
    "nothing": "## ##",
    "uncertain": "?0? 0?0",
    "checkerboard": "0101 1010 0101 1010",
    "hole": "000 010 000",
    "hole in a hole": "00000 01110 01010 01110 00000",
    "hole that touches the shell at a tip": "0001 0010 0000 0000",
    "two holes that touch at a tip": "0000 0100 0010 0000",
    "holes in a diagonal": "00000 01000 00100 00010 00000",
    "ring closed at a tip": "#000 0##0 0##0 000#",
    "regions that touch at a tip": "0# #0",
    "row": "0011201",
    "column": "0 0 1 1 2 0",
    "comb": "00000 01010 01010",
    "nodata hole": "000 0#0 000",
}


@pytest.fixture(params=CORNER_CASES.values(), ids=CORNER_CASES.keys())
def drawn(request: pytest.FixtureRequest) -> np.ndarray:
    """A small label raster; ``#`` is 255 and ``?`` is 254."""
    codes = {"#": 255, "?": 254}
    rows = [
        [codes.get(mark) if mark in codes else int(mark) for mark in row]
        for row in request.param.split()
    ]
    return np.array(rows, np.uint8)


@pytest.fixture
def make_blobs() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A factory of labels with coherent regions and a confidence: ``make_blobs(height, width)``."""

    def make(
        height: int, width: int, *, seed: int = 0, cell: int = 8
    ) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        coarse = random.integers(0, 4, (height // cell + 2, width // cell + 2)).astype(np.uint8)
        rows = np.arange(height)[:, None] + random.integers(0, cell, (height, width)) // 2
        cols = np.arange(width)[None, :] + random.integers(0, cell, (height, width)) // 2
        labels = coarse[rows // cell, cols // cell]
        labels[coarse[rows // cell, cols // cell] == 3] = 255
        return labels, random.integers(0, 256, (height, width)).astype(np.uint8)

    return make
