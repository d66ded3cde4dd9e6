from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.inference import finished_classes
from geoseg.inference.finished_classes import count_classes
from geoseg.raster import Reader
from geoseg.raster.pieces import Pieces


@pytest.mark.parametrize(
    ("pixels", "rows", "heights"),
    [(40, 1, [1] * 66), (400, 5, [5] * 6 + [3]), (2**22, 512, [33])],
)
def test_classes_are_counted_piece_by_piece(
    make_raster: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    pixels: int,
    rows: int,
    heights: list[int],
) -> None:
    read, found = Reader.read, []

    def noting(self: Reader, row: int, col: int, height: int, width: int) -> Any:
        found.append(height)
        return read(self, row, col, height, width)

    monkeypatch.setattr(Reader, "read", noting)
    monkeypatch.setattr(finished_classes, "_PIECES", Pieces(pixels, rows, down_first=False))
    labels = np.random.default_rng(0).choice([0, 1, 5, 254, 255], (1, 33, 80)).astype(np.uint8)
    counts = count_classes(make_raster(data=labels))
    np.testing.assert_array_equal(counts, np.bincount(labels.ravel(), minlength=256))
    assert len(counts) == 256
    assert found == heights
