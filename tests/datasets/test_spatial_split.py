from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.spatial_split import SpatialSplit
from geoseg.errors import ConfigError
from geoseg.tiling import Window


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
        crops = SpatialSplit(side, gap).divide(height, width)
    except ConfigError:
        return
    seen = np.zeros((height, width), int)
    near = np.zeros((height, width), bool)
    for crop in crops:
        seen[crop.window.slices()] += 1
        if crop.part == "val":
            rows, cols = crop.window.slices()
            near[
                max(0, rows.start - gap) : rows.stop + gap,
                max(0, cols.start - gap) : cols.stop + gap,
            ] = True
    assert seen.max() == 1  # every pixel at most once
    for crop in crops:
        assert crop.part == "val" or not near[crop.window.slices()].any()
    assert {crop.part for crop in crops} == {"train", "val"}
    assert len({crop.suffix for crop in crops}) == len(crops)


def test_without_a_gap_every_pixel_is_used_and_a_fifth_is_for_validation() -> None:
    crops = SpatialSplit(100, 0).divide(1000, 1000)
    area = {
        part: sum(crop.window.height * crop.window.width for crop in crops if crop.part == part)
        for part in ("train", "val")
    }
    assert area == {"train": 800_000, "val": 200_000}


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match="--block 300: 100 x 120 pixels are one block; give a smaller one, or --split all",
    ):
        SpatialSplit(300).divide(100, 120)
    with pytest.raises(
        ConfigError, match="--gap 64: blocks of 20 pixels leave nothing to train on; give a"
    ):
        SpatialSplit(20).divide(40, 40)
    with pytest.raises(ConfigError, match="--block 0 --gap 64: give a side of 1 or more"):
        SpatialSplit(0)
    with pytest.raises(ConfigError, match="--block None --gap -1: give a side of 1 or more"):
        SpatialSplit(gap=-1)


def test_areas_are_at_least_fifteen_and_at_most_2048_pixels_wide() -> None:
    assert len(SpatialSplit(gap=0).divide(300, 500)) == 15
    assert len(SpatialSplit(gap=0).divide(1500, 100)) == 15
    large = SpatialSplit(gap=0).divide(20_480, 20_480)
    assert {(crop.window.height, crop.window.width) for crop in large} == {(2048, 2048)}


def test_validation_areas_lie_a_knights_move_apart() -> None:
    crops = SpatialSplit(10, 0).divide(50, 50)
    places = [(c.window.row // 10, c.window.col // 10) for c in crops if c.part == "val"]
    assert places == [(0, 2), (1, 0), (2, 3), (3, 1), (4, 4)]
    assert [crop.part for crop in SpatialSplit(10, 0).divide(10, 20)] == ["train", "val"]
    assert SpatialSplit(10, 0).divide(10, 20)[1].window == Window(0, 10, 10, 10)


def test_areas_are_cut_back_on_the_side_where_that_costs_least() -> None:
    crops = SpatialSplit(10, 3).divide(10, 50)
    assert [(c.part, c.window.col, c.window.width) for c in crops] == [
        ("train", 0, 10),
        ("train", 10, 7),
        ("train", 33, 7),
        ("train", 40, 10),
        ("val", 20, 10),
    ]
    assert [c.suffix for c in crops][1:3] == ["_00000_00010", "_00000_00033"]
    rows = SpatialSplit(10, 3).divide(20, 10)
    assert [(c.part, c.window.row, c.window.height) for c in rows] == [
        ("train", 0, 7),
        ("val", 10, 10),
    ]
