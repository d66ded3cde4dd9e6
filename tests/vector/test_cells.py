"""Simplified polygons: a partition that keeps its borders to no data, within the tolerance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.tiling import Window
from geoseg.vector import Regions, join_parts, polygonize_part
from geoseg.vector.cells import simplified_part
from geoseg.vector.part_regions import PartRegions
from geoseg.vector.simplify import Metric


def cell_of(labels: np.ndarray, window: Window, metric: Metric | None, smooth: bool) -> PartRegions:
    around = np.pad(labels, 1, constant_values=255)
    rows = slice(window.row, window.row_end + 2)
    framed = around[rows, window.col : window.col_end + 2]
    confidence = (labels * 37)[window.slices()].astype(np.uint8)
    return simplified_part(framed, confidence, window.row, window.col, metric, smooth=smooth)


def simplified(labels: np.ndarray, side: int, tolerance: float, *, smooth: bool = False) -> Regions:
    height, width = labels.shape
    cells = [
        Window(row, col, min(side, height - row), min(side, width - col))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]
    metric = Metric(1 / tolerance, 1 / tolerance) if tolerance else None
    return together(
        join_parts([cell_of(labels, each, metric, smooth) for each in cells], height, width)
    )


def together(batches: object) -> Regions:
    several = list(batches)  # type: ignore[call-overload]
    columns = ("geometry", "class_id", "pixels", "confidence_sum")
    return Regions(*(np.concatenate([getattr(each, name) for each in several]) for name in columns))


def exact(labels: np.ndarray) -> Regions:
    part = polygonize_part(labels, (labels * 37).astype(np.uint8), 0, 0)
    return together(join_parts([part], *labels.shape))


def check(labels: np.ndarray, side: int, tolerance: float, *, smooth: bool = False) -> Regions:
    """All that must hold for any raster; the regions."""
    before, after = exact(labels), simplified(labels, side, tolerance, smooth=smooth)
    for name in ("class_id", "pixels", "confidence_sum"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert shapely.is_valid(after.geometry).all()
    assert shapely.coverage_is_valid(after.geometry)
    valid = int((labels < 254).sum())
    assert shapely.area(after.geometry).sum() == pytest.approx(valid, rel=1e-9)
    # The borders to no data are where they were.
    covered = shapely.symmetric_difference(
        shapely.union_all(before.geometry), shapely.union_all(after.geometry)
    )
    assert covered.area == pytest.approx(0, abs=1e-9)
    apart = shapely.hausdorff_distance(
        shapely.boundary(before.geometry), shapely.boundary(after.geometry), densify=0.25
    )
    assert smooth or (apart <= tolerance + 1e-9).all()
    return after


@st.composite
def rasters(draw: st.DrawFn) -> np.ndarray:
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=14)
    values = draw(st.sampled_from([[0, 1], [0, 1, 2], [0, 0, 0, 1, 2, 255], [0, 1, 254]]))
    return draw(arrays(np.uint8, shapes, elements=st.sampled_from(values)))


@settings(max_examples=100, deadline=None)
@given(
    rasters(), st.integers(1, 15), st.sampled_from([0.0, 0.6, 1.0, 1.5, 3.0, 8.0]), st.booleans()
)
def test_any_raster_stays_a_partition_within_the_tolerance(
    labels: np.ndarray, side: int, tolerance: float, smooth: bool
) -> None:
    if (labels < 254).any():
        check(labels, side, tolerance, smooth=smooth and tolerance > 0)


def test_the_corner_cases_stay_a_partition(drawn: np.ndarray) -> None:
    if (drawn < 254).any():
        for side in (1, 2, 9):
            check(drawn, side, 2.0)


def test_staircases_lose_most_of_their_vertices(
    make_blobs: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    rows, cols = np.indices((90, 120))
    labels = ((rows * 3 + cols * 2) // 67 % 3).astype(np.uint8)
    before, after = exact(labels), check(labels, 4096, 1.0)
    counts = [shapely.get_num_coordinates(each.geometry).sum() for each in (before, after)]
    assert counts[1] * 3 < counts[0]
    check(make_blobs(90, 120, cell=12)[0], 50, 1.0)


def test_smoothed_borders_have_no_sharp_corners_but_at_nodes() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    square = check(labels, 4096, 1.0, smooth=True).geometry[0]
    assert shapely.get_num_coordinates(square) == 17
    assert square.area == pytest.approx(400 - 4 * 25 / 2 * (1 + 2 / 8), rel=0.02)
    assert square.covered_by(shapely.box(10, 10, 30, 30))
