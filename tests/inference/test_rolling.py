"""Rows that move up in place, against a copy of them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference.rolling import move_up


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 12))
def test_rows_move_up_whatever_they_overlap(rows: int, gone: int) -> None:
    buffer = torch.arange(2.0 * rows * 3).view(2, rows, 3)
    before = buffer.clone()
    kept = move_up(buffer, gone)
    assert kept == max(0, rows - gone)
    assert torch.equal(buffer[:, :kept], before[:, gone:])
    assert torch.equal(buffer[:, kept:], before[:, kept:])
