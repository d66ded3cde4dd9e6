from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.spatial_blocks import Blocks, split_blocks
from geoseg.errors import ConfigError


@given(
    height=st.integers(40, 400),
    width=st.integers(40, 400),
    side=st.none() | st.integers(20, 90),
    gap=st.integers(0, 9),
)
def test_parts_never_overlap_and_keep_the_gap(
    height: int, width: int, side: int | None, gap: int
) -> None:
    try:
        pieces = split_blocks(height, width, Blocks(side, gap))
    except ConfigError:
        return
    seen = np.zeros((height, width), int)
    near = np.zeros((height, width), bool)
    for piece in pieces:
        seen[piece.window.slices()] += 1
        if piece.part == "val":
            rows, cols = piece.window.slices()
            near[
                max(0, rows.start - gap) : rows.stop + gap,
                max(0, cols.start - gap) : cols.stop + gap,
            ] = True
    assert seen.max() == 1  # every pixel at most once
    for piece in pieces:
        assert piece.part == "val" or not near[piece.window.slices()].any()
    assert {piece.part for piece in pieces} == {"train", "val"}
    assert len({piece.suffix for piece in pieces}) == len(pieces)


def test_without_a_gap_every_pixel_is_used_and_a_fifth_is_validated_on() -> None:
    pieces = split_blocks(1000, 1000, Blocks(100, 0))
    area = {
        part: sum(p.window.height * p.window.width for p in pieces if p.part == part)
        for part in ("train", "val")
    }
    assert area == {"train": 800_000, "val": 200_000}


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match="--block 300: 100 x 120 pixels are one block; give a smaller one, or --split all",
    ):
        split_blocks(100, 120, Blocks(300))
    with pytest.raises(
        ConfigError, match="--gap 64: blocks of 20 pixels leave nothing to learn from; give a"
    ):
        split_blocks(40, 40, Blocks(20))
    with pytest.raises(ConfigError, match="--block 0 --gap 64: give a side of 1 or more"):
        Blocks(0)
