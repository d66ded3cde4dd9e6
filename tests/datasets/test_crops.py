from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.crops import Crop, Edge, PatchOptions, SpatialSplit, cut_patches, whole_raster
from geoseg.errors import ConfigError
from geoseg.tiling import Window


def cut(height: int, width: int, size: int, stride: int, edge: Edge) -> list[Crop]:
    return cut_patches(whole_raster("train", height, width), PatchOptions(size, stride, edge))


@given(
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    size=st.integers(1, 40),
    stride=st.integers(1, 40),
    edge=st.sampled_from(["shift", "pad", "drop"]),
)
def test_patches_cover_what_their_rule_says(
    height: int, width: int, size: int, stride: int, edge: Edge
) -> None:
    if stride > size:
        return
    crops = cut(height, width, size, stride, edge)
    seen = np.zeros((height, width), bool)
    for crop in crops:
        seen[crop.window.slices()] = True
        assert (crop.height, crop.width) == (
            (min(size, height), min(size, width)) if edge == "shift" else (size, size)
        )
    assert len({crop.suffix for crop in crops}) == len(crops)
    if edge == "drop":
        rows, cols = (
            (length - size) // stride + 1 if length >= size else 0 for length in (height, width)
        )
        assert len(crops) == max(0, rows) * max(0, cols)
    else:
        assert seen.all()


def test_potsdam_in_patches_of_512_gives_the_known_144_a_tile() -> None:
    assert len(cut(6000, 6000, 512, 512, "shift")) == 144
    assert len(cut(6000, 6000, 512, 512, "drop")) == 121
    assert cut(6000, 6000, 512, 512, "shift")[-1].window == Window(5488, 5488, 512, 512)
    assert cut(6000, 6000, 512, 512, "pad")[-1].window == Window(5632, 5632, 368, 368)


def test_patches_of_a_block_stay_inside_it_and_are_named_by_their_place_in_the_raster() -> None:
    block = Crop("train", "_00100_00200", Window(100, 200, 50, 70), 50, 70)
    crops = cut_patches(block, PatchOptions(32, 32))
    assert [crop.suffix for crop in crops[:2]] == ["_00100_00200", "_00100_00232"]
    assert all(crop.window.intersect(block.window) == crop.window for crop in crops)


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (8, 0), (8, 9)])
def test_impossible_patches_are_refused(size: int, stride: int) -> None:
    with pytest.raises(
        ConfigError,
        match=f"--patch {size} --stride {stride}: give a side of 1 or more, and a stride",
    ):
        PatchOptions(size, stride)


def test_an_unknown_edge_rule_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="--edge wrap: there is no such rule; choose shift, pad, drop"
    ):
        PatchOptions(8, 8, "wrap")  # type: ignore[arg-type]


def test_a_raster_may_stay_whole() -> None:
    assert whole_raster("val", 3, 5) == Crop("val", "", Window(0, 0, 3, 5), 3, 5)


def test_only_padded_patches_are_larger_than_their_windows() -> None:
    (shifted,) = cut(5, 9, 16, 16, "shift")
    assert (shifted.window, shifted.height, shifted.width) == (Window(0, 0, 5, 9), 5, 9)
    (padded,) = cut(5, 9, 16, 16, "pad")
    assert (padded.window, padded.height, padded.width) == (Window(0, 0, 5, 9), 16, 16)
    assert cut(5, 9, 16, 16, "drop") == []
    assert [crop.window.col for crop in cut(8, 20, 8, 6, "pad")] == [0, 6, 12]
    assert [crop.window.col for crop in cut(8, 20, 8, 6, "drop")] == [0, 6, 12]
    assert [crop.window.col for crop in cut(8, 21, 8, 6, "shift")] == [0, 6, 12, 13]
    assert {crop.part for crop in cut(8, 20, 8, 6, "pad")} == {"train"}


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


def test_areas_and_patches_may_be_single_pixels() -> None:
    crops = SpatialSplit(1, 0).divide(1, 3)
    assert [(crop.part, crop.window.col) for crop in crops] == [
        ("train", 0),
        ("train", 1),
        ("val", 2),
    ]
    assert len(cut_patches(whole_raster("train", 2, 3), PatchOptions(1, 1))) == 6


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
