"""Random numbers that belong to places, boxes, and the plan of streets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geoseg.scenes.town import (
    Box,
    Town,
    find_node,
    find_street,
    mixed,
    normal_noise,
    pick,
    position_hash,
    random_stream,
    shaded,
    smooth_noise,
    varied,
)

Record = Callable[..., None]
ACROSS, DOWN = 0, 1
places = st.integers(-(10**6), 10**6)


@given(places, places, st.integers(0, 20), st.integers(0, 20))
def test_a_piece_of_a_field_equals_the_field_there(
    row: int, col: int, down: int, across: int
) -> None:
    y, x = (np.arange(start, start + 40) * 0.15 for start in (row, col))
    whole = smooth_noise(99, 4, y, x, 1.5)
    np.testing.assert_array_equal(
        smooth_noise(99, 4, y[down:], x[across:], 1.5), whole[down:, across:]
    )


def test_hashes_are_spread_evenly() -> None:
    numbers = position_hash(5, np.arange(-300, 300), np.arange(4000, 4600))
    assert np.unique(numbers).size > 0.999 * numbers.size
    bits = np.unpackbits(numbers.view(np.uint8)).reshape(-1, 32).mean(axis=0)
    assert np.abs(bits - 0.5).max() < 0.01


def test_normal_noise_is_normal_and_its_bands_are_independent() -> None:
    noise = normal_noise(1, 0, np.arange(300), np.arange(300)).reshape(4, -1)
    assert np.abs(noise.mean(axis=1)).max() < 0.01
    assert np.abs(noise.std(axis=1) - 1).max() < 0.01
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 0.02


def test_noise_and_streams_differ_by_seed_and_purpose() -> None:
    spots = np.arange(2.0)
    values = {
        smooth_noise(seed, purpose, spots, spots, 1.0).tobytes()
        for seed in range(50)
        for purpose in range(50)
    }
    assert len(values) == 2500
    first = {
        float(random_stream(seed, 1, i, -j).random())
        for seed in range(4)
        for i in range(9)
        for j in range(9)
    }
    assert len(first) == 4 * 81
    assert random_stream(2**40 + 1, 3).random() != random_stream(1, 3).random()


def test_smooth_noise_has_mean_0_and_keeps_within_1() -> None:
    places = np.arange(400) * 0.5
    noise = smooth_noise(3, 1, places, places, 1.0)
    assert np.abs(noise).max() <= 1
    assert abs(noise.mean()) < 0.02
    # It is smooth: half a wavelength apart values are alike, three wavelengths apart they are not.
    assert np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1] > 0.4
    assert abs(np.corrcoef(noise[:, :-6].ravel(), noise[:, 6:].ravel())[0, 1]) < 0.05


def test_smooth_noise_meets_the_lattice_with_the_slope_0_of_a_smoothstep() -> None:
    knots = smooth_noise(3, 1, np.zeros(1), np.arange(9.0), 1.0)[0]
    near = smooth_noise(3, 1, np.zeros(1), np.arange(9.0) + 0.01, 1.0)[0]
    quarter = smooth_noise(3, 1, np.zeros(1), np.arange(8) + 0.25, 1.0)[0]
    assert np.abs(near - knots).max() < 2 * 3.1e-4
    share = 0.25**2 * (3 - 2 * 0.25)
    np.testing.assert_allclose(quarter, knots[:-1] + share * np.diff(knots), atol=1e-6)


def test_noise_stays_as_recorded(recorded: Record) -> None:
    rows, cols = np.arange(-9, 9), np.arange(2**20, 2**20 + 14)
    spots = rows * 0.37
    recorded(
        hashes=position_hash(9, rows, cols),
        normal=normal_noise(2**33 + 5, 3, rows, cols),
        smooth=smooth_noise(7, 2, spots, cols * 0.11, 1.7),
        stream=random_stream(2**33 + 1, 4, -5).random(20),
    )


def test_colours_are_shaded_mixed_and_varied(recorded: Record) -> None:
    first, second = (10.0, 20.0, 30.0, 40.0), (20.0, 0.0, 30.0, 80.0)
    assert shaded(first, 0.5) == (5, 10, 15, 20)
    assert mixed(first, second, 0.25) == (12.5, 15, 30, 50)
    rng = np.random.default_rng(0)
    many = np.array([varied(rng, (100, 100, 100, 100), 0.1, 0.03) for _ in range(3000)])
    assert many.mean() == pytest.approx(100, abs=1)
    assert many.mean(axis=1).std() == pytest.approx(9.6, abs=0.6)
    assert (many / many.mean(axis=1, keepdims=True)).std() == pytest.approx(0.026, abs=0.002)
    assert 70 < many.mean(axis=1).min() < 80
    assert {pick(rng, (first, second)) for _ in range(20)} == {first, second}
    recorded(colours=[varied(rng, first, 0.3) for _ in range(30)])


boxes = st.builds(
    lambda x, y, angle, length, width: Box(x, y, math.cos(angle), math.sin(angle), length, width),
    st.floats(-9, 9),
    st.floats(-9, 9),
    st.floats(0, 7),
    st.floats(1, 12),
    st.floats(1, 12),
)


@given(boxes, st.floats(-5, 5), st.floats(-5, 5))
def test_coordinates_undo_points(box: Box, u: float, v: float) -> None:
    assert box.coordinates(*box.point(u, v)) == pytest.approx((u, v), abs=1e-9)
    part = box.part(u, v, 2.0, 3.0)
    assert part.coordinates(*box.point(u + 1, v - 2)) == pytest.approx((1, -2), abs=1e-9)


@given(boxes)
def test_a_box_has_its_size_whichever_way_it_is_turned(box: Box) -> None:
    outline = shapely.Polygon(box.corners())
    assert outline.area == pytest.approx(box.length * box.width)
    assert outline.symmetric_difference(shapely.Polygon(box.turned().corners())).area < 1e-6
    assert box.coordinates(*box.corners()[1]) == pytest.approx((box.length / 2, -box.width / 2))
    assert box.turned().length == box.width


@given(boxes, boxes)
def test_boxes_overlap_as_polygons_do(box: Box, other: Box) -> None:
    shared = shapely.Polygon(box.corners()).intersection(shapely.Polygon(other.corners())).area
    overlap = box.overlaps(other) and other.overlaps(box)
    if shared > 1e-6:
        assert overlap
    if not overlap:
        assert shared < 1e-9
    apart = shapely.Polygon(box.corners()).distance(shapely.Polygon(other.corners()))
    if apart > 1e-6:
        assert not overlap


@given(boxes, boxes)
def test_an_outline_is_clipped_as_a_polygon_is(box: Box, side: Box) -> None:
    kept = side.clipped(box.corners())
    ground = shapely.Polygon(side.part(0, 50 - side.width, 200, 100).corners())
    expected = shapely.Polygon(box.corners()).intersection(ground)
    found = shapely.Polygon(kept) if len(kept) > 2 else shapely.Polygon()
    assert found.symmetric_difference(expected).area < 1e-6


def test_a_box_between_points_runs_from_one_to_the_other() -> None:
    box = Box.between((1.0, 2.0), (4.0, 6.0), 3.0)
    assert box.point(-box.length / 2, 0) == pytest.approx((1, 2))
    assert box.point(2.5, 0) == pytest.approx((4, 6))
    assert (box.length, box.width) == (5, 3)


def test_towns_differ_within_their_limits(recorded: Record) -> None:
    towns = [Town.from_seed(seed) for seed in range(200)]
    for town in towns:
        assert sum(town.mix) == pytest.approx(1)
        assert math.hypot(*town.sun) == pytest.approx(1)
        assert town.sun[1] > 0.4, "the sun is in the south, which is down"
        assert 40 <= math.degrees(math.atan(town.elevation)) <= 58
    gardens, rows = (np.array([town.mix[kind] for town in towns]) for kind in (0, 2))
    assert np.corrcoef(gardens, rows)[0, 1] < -0.9, "dense towns have rows instead of gardens"
    assert Town.from_seed(3) is Town.from_seed(3)
    recorded(towns=[astuple(town) for town in towns])


def test_nodes_form_a_displaced_grid_along_the_angle_of_the_town() -> None:
    town = Town.from_seed(11)
    cos, sin = math.cos(town.angle), math.sin(town.angle)
    offsets = []
    for i in range(-12, 12):
        for j in range(-12, 12):
            x, y = find_node(town, i, j)
            across, down = (x * cos + y * sin) / town.cell[0], (y * cos - x * sin) / town.cell[1]
            offsets.append((across - i, down - j))
    assert np.abs(offsets).max() <= 0.13
    assert np.abs(offsets).max(axis=0) == pytest.approx((0.13, 0.13), abs=0.005)
    assert np.mean(offsets) == pytest.approx(0, abs=0.01)


def test_streets_of_one_line_share_their_width_and_main_ones_have_no_gaps() -> None:
    town = Town.from_seed(12)
    for axis in (ACROSS, DOWN):
        for line in range(-30, 30):
            places = [(step, line) if axis == ACROSS else (line, step) for step in range(-20, 20)]
            streets = [find_street(town, axis, *place) for place in places]
            assert len({street.width for street in streets} - {0.0}) == 1
            assert len({street.main for street in streets}) == 1
            if streets[0].main:
                assert min(street.width for street in streets) >= 9
            for place, street in zip(places, streets, strict=True):
                i, j = place
                assert street.start == find_node(town, i, j)
                assert street.end == find_node(town, i + (axis == ACROSS), j + (axis == DOWN))
                expected = street.width / 2 + street.pavement if street.width else 0.6
                assert street.reach == expected


def test_streets_stay_as_recorded(recorded: Record) -> None:
    town = Town.from_seed(13)
    streets = [
        find_street(town, axis, i, j) for axis in (0, 1) for i in range(20) for j in range(20)
    ]
    recorded(
        ends=[street[1:3] for street in streets],
        widths=[street[3:] for street in streets],
    )
