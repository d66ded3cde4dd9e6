from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.tiling import Window
from geoseg.vector import PartRegions, join_parts, polygonize_part
from geoseg.vector.order import OrderedRegions

Cut = tuple[int, int, int, int]  # row, column, height, width


@st.composite
def two_cuts(draw: st.DrawFn) -> tuple[np.ndarray, list[Cut], list[Cut]]:
    """Labels, and two ways to cut them into parts of any order."""
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=12)
    labels = draw(arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 255])))

    def cut() -> list[Cut]:
        height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
        parts = [
            (row, col, min(height, labels.shape[0] - row), min(width, labels.shape[1] - col))
            for row in range(0, labels.shape[0], height)
            for col in range(0, labels.shape[1], width)
        ]
        return draw(st.permutations(parts))

    return labels, cut(), cut()


def parts_of(labels: np.ndarray, cuts: list[Cut]) -> list[PartRegions]:
    return [
        polygonize_part(labels[row : row + height, col : col + width], None, row, col)
        for row, col, height, width in cuts
    ]


def rows_of(labels: np.ndarray, cuts: list[Cut]) -> list[tuple[bytes, int, int]]:
    return [
        (shapely.to_wkb(geometry), int(class_id), int(pixels))
        for regions in join_parts(parts_of(labels, cuts), *labels.shape)
        for geometry, class_id, pixels in zip(
            regions.geometry, regions.class_id, regions.pixels, strict=True
        )
    ]


@settings(max_examples=2 * settings().max_examples)
@given(two_cuts())
def test_the_order_does_not_depend_on_the_parts(
    case: tuple[np.ndarray, list[Cut], list[Cut]],
) -> None:
    labels, one, other = case
    assert rows_of(labels, one) == rows_of(labels, other)


def test_it_is_that_of_the_last_pixels_row_by_row() -> None:
    labels = np.array([[3, 3, 1, 1], [3, 2, 2, 1], [3, 0, 0, 0]], np.uint8)
    # Class 2 ends in row 1, column 2; 1 in column 3; 3 in row 2, column 0; 0 in column 3.
    assert [row[1] for row in rows_of(labels, [(0, 0, 3, 4)])] == [2, 1, 3, 0]


def test_what_waits_ends_in_the_last_row_of_parts() -> None:
    labels = np.random.default_rng(0).integers(0, 5, (200, 60)).astype(np.uint8)
    ordered = OrderedRegions(Window(0, 0, 200, 60), 60)
    cuts = [(row, col, 20, 30) for row in range(0, 200, 20) for col in (0, 30)]
    held = []
    for part in parts_of(labels, cuts):
        handed_on = sum(len(each) for each in ordered.add(part, [part.whole]))
        assert bool(handed_on) == (part.col == 30)
        held.append(sum(len(each) for each in ordered._held))
    assert max(held) < 1.3 * held[0], "one part's regions, of two beside one another"
    assert held[1::2] == [0] * 10
