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
from geoseg.vector.cells import Drawing, simplified_part
from geoseg.vector.part_regions import PartRegions
from geoseg.vector.regularize import RightAngles
from geoseg.vector.simplify import Metric


def cell_of(
    labels: np.ndarray,
    window: Window,
    drawing: Drawing,
) -> PartRegions:
    around = np.pad(labels, 1, constant_values=255)
    rows = slice(window.row, window.row_end + 2)
    framed = around[rows, window.col : window.col_end + 2]
    confidence = (labels * 37)[window.slices()].astype(np.uint8)
    return simplified_part(framed, confidence, window.row, window.col, drawing)


def simplified(
    labels: np.ndarray,
    side: int,
    tolerance: float,
    *,
    smooth: bool = False,
    square: float = 0,
    classes: tuple[int, ...] = (1,),
) -> Regions:
    height, width = labels.shape
    cells = [
        Window(row, col, min(side, height - row), min(side, width - col))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]
    metric = Metric(1 / tolerance, 1 / tolerance) if tolerance else None
    angles = RightAngles(classes, Metric(1 / square, 1 / square)) if square else None
    drawing = Drawing(metric, smooth, angles)
    parts = [cell_of(labels, each, drawing) for each in cells]
    return together(join_parts(parts, height, width))


def together(batches: object) -> Regions:
    several = list(batches)  # type: ignore[call-overload]
    columns = ("geometry", "class_id", "pixels", "confidence_sum")
    return Regions(*(np.concatenate([getattr(each, name) for each in several]) for name in columns))


def exact(labels: np.ndarray) -> Regions:
    part = polygonize_part(labels, (labels * 37).astype(np.uint8), 0, 0)
    return together(join_parts([part], *labels.shape))


def check(
    labels: np.ndarray, side: int, tolerance: float, *, smooth: bool = False, square: float = 0
) -> Regions:
    """All that must hold for any raster; the regions."""
    before = exact(labels)
    after = simplified(labels, side, tolerance, smooth=smooth, square=square)
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
    assert smooth or (apart <= tolerance + square + 1 / 64).all()
    return after


@st.composite
def rasters(draw: st.DrawFn) -> np.ndarray:
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=14)
    values = draw(st.sampled_from([[0, 1], [0, 1, 2], [0, 0, 0, 1, 2, 255], [0, 1, 254]]))
    return draw(arrays(np.uint8, shapes, elements=st.sampled_from(values)))


@settings(max_examples=100, deadline=None)
@given(
    rasters(),
    st.integers(1, 15),
    st.sampled_from([0.0, 0.6, 1.0, 1.5, 3.0, 8.0]),
    st.booleans(),
    st.sampled_from([0.0, 0.7, 1.5, 3.0, 8.0]),
)
def test_any_raster_stays_a_partition_within_the_tolerance(
    labels: np.ndarray, side: int, tolerance: float, smooth: bool, square: float
) -> None:
    if (labels < 254).any():
        check(labels, side, tolerance, smooth=smooth and tolerance > 0, square=square)


def test_the_corner_cases_stay_a_partition(drawn: np.ndarray) -> None:
    if (drawn < 254).any():
        for side in (1, 2, 9):
            check(drawn, side, 2.0)


def test_regions_that_a_side_of_a_cell_cuts_keep_an_area() -> None:
    labels = np.ones((10, 10), np.uint8)
    labels[4:6, 2] = labels[2:4, 4:6] = 0
    assert (shapely.area(check(labels, 5, 1.5, square=2.0).geometry) > 0).all()


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


def turns(polygon: shapely.Polygon) -> np.ndarray:
    """Degrees by which a ring turns where it does."""
    corners = shapely.get_coordinates(polygon.exterior)[:-1]
    sides = np.roll(corners, -1, axis=0) - corners
    angle = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
    turn = np.abs((np.roll(angle, -1) - angle + 180) % 360 - 180)
    return turn[turn > 1]


def rounded_house(shape: tuple[int, int], degrees: float) -> np.ndarray:
    """A rectangle of 40 x 24 pixels with round corners, and a road beside and behind it."""
    rows, cols = np.indices(shape)
    angle = np.radians(degrees)
    down, right = rows - shape[0] / 2 + 0.2, cols - shape[1] / 2 + 0.4
    along = np.abs(right * np.cos(angle) + down * np.sin(angle)) - 16
    across = np.abs(down * np.cos(angle) - right * np.sin(angle)) - 8
    labels = np.where(cols > shape[1] / 2 + 3, 2, 0)
    labels[np.hypot(np.maximum(along, 0), np.maximum(across, 0)) <= 4] = 1
    return labels.astype(np.uint8)


@pytest.mark.parametrize("degrees", [0, 17, 45, 80])
def test_a_house_gets_its_corners_back_and_the_road_beside_it_gives_way(degrees: float) -> None:
    labels = rounded_house((70, 70), degrees)
    plain, house = (
        found.geometry[found.class_id == 1][0]
        for found in (check(labels, 4096, 1.0, square=each) for each in (0, 4))
    )
    np.testing.assert_allclose(turns(house), 90, atol=0.3)
    assert turns(house).size == 4 < turns(plain).size
    assert house.area == pytest.approx(plain.area, rel=0.05)


def test_corners_of_houses_are_not_cut_off() -> None:
    labels = rounded_house((70, 70), 17)
    smooth = check(labels, 4096, 1.0, smooth=True, square=3)
    assert turns(smooth.geometry[smooth.class_id == 1][0]).size == 4


def test_a_house_on_a_side_of_a_cell_stays_one() -> None:
    house = check(rounded_house((70, 70), 17), 30, 1.0, square=4)
    assert (house.class_id == 1).sum() == 1
