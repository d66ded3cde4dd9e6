"""Fill values told from values alone."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.raster.fills import (
    border_fill,
    find_fills,
    impossible,
    may_be_impossible,
    without,
)

UNIT = (0.0, 1.0)
LOWEST = float(np.finfo(np.float32).min)


def measured(high=1.0, dtype="float32", shape=(3, 10_000)):
    return np.random.default_rng(0).uniform(0, high, shape).astype(dtype)


@pytest.mark.parametrize("value_range", [UNIT, None])
@pytest.mark.parametrize("share", [0.0004, 0.3, 0.99])
@pytest.mark.parametrize(
    "fills",
    [(-9999,), (LOWEST,), (-32768, -9999), (-9999, 65_535), (LOWEST, 1e30), (-32768, -9999, 1e20)],
)
def test_repeated_values_far_from_the_others_are_found_whatever_their_share(
    fills, share, value_range
):
    values = measured()
    count = int(share * values.shape[1] / len(fills)) + 4
    for position, fill in enumerate(fills):
        values[:, position * count : (position + 1) * count] = fill
    found = find_fills(values, value_range)
    expected = sorted(float(np.float32(fill)) for fill in fills)
    assert [(fill.value, fill.pixels, fill.partly) for fill in found] == [
        (value, min(count, values.shape[1]), 0) for value in expected
    ]
    assert without(values, found).max() <= 1


def test_a_fill_of_some_bands_names_them_and_how_much_of_it_is_alone():
    values = measured()
    values[:, :10] = -9999
    values[2, 100:120] = -9999
    (fill,) = find_fills(values, UNIT)
    assert (fill.pixels, fill.partly, fill.bands) == (30, 20, (0, 1, 2))
    values[:2, :10] = 0
    (fill,) = find_fills(values, UNIT)
    assert (fill.pixels, fill.partly, fill.bands) == (30, 30, (2,))


@pytest.mark.parametrize("outlier", [1e30, -1e30])
def test_single_values_hide_no_fills_and_count_where_nobody_can_have_measured_them(outlier):
    values = measured()
    values[:, 0] = outlier
    (single,) = find_fills(values, UNIT)
    assert (single.value, single.pixels) == (float(np.float32(outlier)), 1)
    assert find_fills(values) == []
    values[:, 1:9] = -9999
    assert {fill.value for fill in find_fills(values, UNIT)} == {-9999, single.value}
    assert [fill.value for fill in find_fills(values)] == [-9999]
    values[0, 100:200] = np.geomspace(1e20, 1e21, 100)
    assert [fill.value for fill in find_fills(values, UNIT)] == [-9999]


def test_values_close_to_one_another_are_fills_together():
    values = measured(4000, "uint16")
    values[:, :10], values[:, 10:20] = 65_534, 65_535
    assert [fill.value for fill in find_fills(values, (0, 4095))] == [65_534, 65_535]
    assert [fill.value for fill in find_fills(values)] == [65_534, 65_535]


@pytest.mark.parametrize("value_range", [(0, 10_000), None])
def test_glints_and_saturation_near_the_others_are_no_fills(value_range):
    values = measured(9_000, "uint16")
    values[:, :100] = np.random.default_rng(1).integers(9_000, 12_000, 100)  # clouds
    values[:, 100:120] = 12_000
    assert find_fills(values, value_range) == []


@pytest.mark.parametrize("low", [0, 1])
def test_usual_fill_values_below_a_wide_range_are_found(low):
    values = measured(60_000, "int32")
    values[:, :10] = -9999
    assert [fill.value for fill in find_fills(values, (low, 65_535))] == [-9999]
    assert find_fills(values, (-10_000, 65_535)) == []


def test_a_usual_fill_value_is_found_without_a_range_where_nothing_else_is_below_0():
    values = measured(32_767, "int16")
    values[:, :10] = -9999
    assert [fill.value for fill in find_fills(values)] == [-9999]
    values[:, 10:20] = -300
    assert find_fills(values) == []


def test_values_inside_the_range_are_measured():
    values = np.full((1, 1000), 0.01, np.float32)
    values[:, ::2] = np.linspace(0.01, 0.02, 500)
    values[:, :10] = 1
    assert find_fills(values, UNIT) == []


def test_among_few_values_without_a_range_none_lies_apart():
    values = np.full((1, 1000), 900, np.uint16)
    values[:, :10] = 60_000
    assert find_fills(values) == []


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint16", "uint8", "int32"])
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (0, 255), (0, 10_000), (-1, 1)])
def test_the_quick_answer_misses_nothing(dtype, value_range):
    rng = np.random.default_rng(0)
    info = np.finfo(dtype) if dtype == "float32" else np.iinfo(dtype)
    for value in (-1e30, -99999, -32768, -9999, -9, -1, 0, 1, 9, 255, 2296, 65_535, 90_000, 1e30):
        if info.min <= value <= info.max:
            pixels = rng.integers(0, 2, (2, 4, 4)).astype(dtype)
            pixels[1, 2, 3] = value
            found = impossible(pixels, value_range)
            assert found.any() <= may_be_impossible(pixels, value_range)
            low, high = value_range
            far = not low - 8 * (high - low) <= value <= high + 8 * (high - low)
            assert found[1, 2, 3] == (far or (value in (-9999, -32768, -99999) and value < low))


def test_nan_and_nothing_are_passed_over():
    assert not may_be_impossible(np.full((2, 3, 3), np.nan, np.float32), UNIT)
    assert not may_be_impossible(np.zeros((2, 0), np.float32), UNIT)
    pixels = np.full((1, 2, 2), np.nan, np.float32)
    pixels[0, 0, 0] = 1e9
    assert may_be_impossible(pixels, UNIT)
    np.testing.assert_array_equal(impossible(pixels, UNIT), [[[True, False], [False, False]]])


def ring(length=1000, value=0, start=0, stop=0, bands=3):
    border = np.random.default_rng(0).integers(1, 255, (bands, length)).astype(np.uint8)
    border[:, np.arange(start, stop) % length] = value
    return border, np.ones(length, np.bool_)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize(
    ("start", "stop", "found"),
    [(0, 100, True), (950, 1050, True), (0, 1000, True), (0, 99, False), (951, 1050, False)],
)
def test_a_tenth_of_the_border_in_one_stretch_around_the_raster_is_a_collar(
    value, start, stop, found
):
    share = (stop - start) / 1000
    expected = (value, share) if found else None
    assert border_fill(*ring(1000, value, start, stop), (0, 255)) == expected


def test_scattered_black_other_values_single_bands_and_invalid_pixels_are_no_collar():
    border, valid = ring()
    border[:, ::2] = 0
    assert border_fill(border, valid, (0, 255)) is None
    assert border_fill(*ring(1000, 7, 0, 500), (0, 255)) is None
    border, valid = ring(1000, 0, 0, 500)
    border[1, :500] = 3
    assert border_fill(border, valid, (0, 255)) is None
    border, valid = ring(1000, 0, 0, 500)
    valid[:500] = False
    assert border_fill(border, valid, (0, 255)) is None
