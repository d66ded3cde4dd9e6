"""What the missing bands of a block take; for cells see `tests/inference/test_windows.py`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geoseg.inference.rows_left import count_forwards
from geoseg.tiling import TileGrid


@given(st.data(), st.sampled_from(["blend", "crop"]), st.integers(0, 7), st.integers(3, 50))
def test_windows_that_touch_any_missing_band_are_counted_once(
    data: st.DataObject, stitch: Any, overlap: int, side: int
) -> None:
    for block in TileGrid(40, 30, 8, overlap, stitch).blocks(side):
        rows = sorted(data.draw(st.sets(st.sampled_from(list(block.band_rows)))))
        touched = {row for missing in rows for row in block.rows_for(block.band(missing))}
        assert count_forwards(block, rows) == len(touched) * len(block.lattice_cols)
