from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.vector.components import find_components
from geoseg.vector.outlines import Corners, add_corners, find_corners, outline


def corners_of(*drawn: str) -> Corners:
    labels = np.array([[0 if mark == "x" else 255 for mark in row] for row in drawn], np.uint8)
    return find_corners(find_components(labels, None))


def together(*several: Corners) -> tuple[np.ndarray, ...]:
    columns = ("region", "row", "col", "positive")
    return tuple(np.concatenate([getattr(each, column) for each in several]) for column in columns)


def listed(corners: Corners) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in together(corners)), strict=True))


def test_a_pixel_has_four_corners_of_alternating_sign() -> None:
    assert listed(corners_of("x")) == [
        (0, 0, 0, True),
        (0, 0, 1, False),
        (0, 1, 0, False),
        (0, 1, 1, True),
    ]


@pytest.mark.parametrize(
    ("whole", "one", "other"),
    [
        (("xx",), ("x.",), (".x",)),
        (("x", "x"), ("x", "."), (".", "x")),
        (("xxx", "x.x", "xxx"), ("xxx", "x..", "x.."), ("...", "..x", ".xx")),
    ],
)
def test_the_corners_of_a_union_are_the_sum_of_the_corners(
    whole: tuple[str, ...], one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert listed(add_corners(*together(corners_of(*one), corners_of(*other)))) == listed(
        corners_of(*whole)
    )


@given(
    arrays(
        np.uint8,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.sampled_from([0, 1, 2, 254, 255]),
    )
)
@settings(max_examples=60, deadline=None)
def test_corners_are_those_of_each_pixel_added_up(labels: np.ndarray) -> None:
    components = find_components(labels, None)
    regions = components.region_of_run[components.run.reshape(components.framed.shape)][1:-1, 1:-1]
    rows, cols = np.nonzero(regions >= 0)
    region = regions[rows, cols].astype(np.int64)
    of_pixels = [
        (region, rows + down, cols + right, np.full(rows.size, down == right))
        for down in (0, 1)
        for right in (0, 1)
    ]
    summed = add_corners(*(np.concatenate(each) for each in zip(*of_pixels, strict=True)))
    assert listed(find_corners(components)) == listed(summed)


def test_a_pinch_is_listed_twice() -> None:
    pinched = listed(corners_of("xx.", "x.x", "xxx"))
    assert pinched.count((0, 1, 2, True)) == 2


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_summands_does_not_matter(random: object) -> None:
    corners = together(corners_of("xxx", "x.x", "xx."))
    order = np.arange(corners[0].size)
    random.shuffle(order)  # type: ignore[attr-defined]
    assert listed(add_corners(*(column[order] for column in corners))) == listed(
        corners_of("xxx", "x.x", "xx.")
    )


def test_coordinates_far_from_the_origin_are_kept() -> None:
    region, row, col, positive = together(corners_of("x"))
    moved = outline(add_corners(region, row + 3_000_000, col + 5_000_000, positive))
    assert moved[0].bounds == (5_000_000, 3_000_000, 5_000_001, 3_000_001)


def test_no_corners_make_no_outline() -> None:
    assert outline(corners_of(".")).size == 0


def test_a_straight_edge_has_no_vertex_between_its_ends() -> None:
    square = outline(corners_of("xxxx", "xxxx"))[0]
    assert shapely.get_num_coordinates(square) == 5


@given(
    arrays(
        np.uint8,
        array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([0, 1, 255]),
    )
)
@settings(max_examples=60, deadline=None)
def test_each_outline_is_the_union_of_its_pixels_in_the_order_of_the_regions(
    labels: np.ndarray,
) -> None:
    components = find_components(labels, None)
    region = components.region_of_run[components.run.reshape(components.framed.shape)][1:-1, 1:-1]
    outlines = outline(find_corners(components))
    assert len(outlines) == region.max(initial=-1) + 1
    for number, polygon in enumerate(outlines):
        rows, cols = np.nonzero(region == number)
        assert polygon.is_valid
        assert polygon.equals(shapely.union_all(shapely.box(cols, rows, cols + 1, rows + 1)))
        assert polygon.exterior.coords[0][1] == rows.min()
