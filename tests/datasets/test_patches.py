from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.patches import Crop, Edge, PatchOptions, cut_patches, whole_raster
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
