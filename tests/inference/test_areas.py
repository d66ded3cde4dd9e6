from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference import areas as module
from geoseg.inference.areas import area_tree
from geoseg.tiling import Block, TileGrid, Window


@st.composite
def plans(draw: st.DrawFn) -> list[Block]:
    sizes = st.integers(1, 90)
    window = draw(st.integers(2, 20))
    overlap = draw(st.integers(0, window - 1))
    stitch = draw(st.sampled_from(["blend", "crop"]))
    grid = TileGrid(draw(sizes), draw(sizes), window, overlap, stitch)
    return grid.blocks(draw(st.one_of(st.just("auto"), st.integers(5, 90))))


def parts_of(blocks: Sequence[Block]) -> list[Window]:
    return [band for block in blocks for _, band in block.bands()]


def cover(level: Sequence[Window], shape: tuple[int, int]) -> np.ndarray:
    """How many areas each pixel lies in."""
    counts = np.zeros(shape, int)
    for area in level:
        counts[area.slices()] += 1
    return counts


def is_inside(part: Window, area: Window) -> bool:
    return area.intersect(part) == part


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(plans(), st.integers(1, 4000))
def test_each_level_holds_the_one_below_and_the_last_is_the_raster(
    blocks: list[Block], pixels: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AREA_PIXELS", pixels)
        tree = area_tree(blocks)
    grid = blocks[0].grid
    assert tree[-1] == [Window(0, 0, grid.height, grid.width)]
    for below, level in itertools.pairwise([parts_of(blocks), *tree]):
        assert (cover(level, (grid.height, grid.width)) == 1).all()
        assert all(sum(is_inside(part, area) for area in level) == 1 for part in below)
        assert level == sorted(level, key=lambda area: (area.row, area.col))
    for area in tree[0]:
        parts = sum(is_inside(part, area) for part in parts_of(blocks))
        assert area.height * area.width <= pixels or parts == 1
    for below, level in itertools.pairwise(tree):
        assert len(level) < len(below)
        assert all(sum(is_inside(part, area) for part in below) <= 16 for area in level)


def test_a_sheet_of_five_thousand_pixels_is_one_area() -> None:
    assert len(area_tree(TileGrid(5000, 5000, 512, 128).blocks(classes=6))) == 1


def test_a_country_is_some_ten_thousand_areas_none_of_them_a_line() -> None:
    tree = area_tree(TileGrid(10**6, 10**6, 512, 128).blocks(classes=6))
    assert 30_000 < len(tree[0]) < 60_000
    assert len(tree) <= 6
    assert all(0.1 < area.height / area.width < 10 for area in tree[0])


def test_few_large_areas_are_of_nearly_the_same_size() -> None:
    tree = area_tree(TileGrid(10_000, 10_000, 512, 128).blocks(classes=6))
    heights = [area.height for area in tree[0]]
    assert len(tree) == 2
    assert max(heights) < 1.3 * min(heights)
