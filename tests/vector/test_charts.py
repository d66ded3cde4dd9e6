"""Turns and periods of coordinate systems; `test_placement` tries charts by what is drawn."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine

from geoseg.vector.charts import Grid, choose_chart, geographic_of, period_of, turn_of

ROUND = 2 * np.pi * 6_378_137
"""Metres along the equator."""


@pytest.mark.parametrize(("crs", "turn"), [("EPSG:4326", 360.0), ("EPSG:4807", 400.0)])
def test_a_turn_is_in_the_systems_own_unit(crs: str, turn: float) -> None:
    assert turn_of(pyproj.CRS(crs)) == pytest.approx(turn)


@pytest.mark.parametrize(
    ("crs", "period"),
    [("EPSG:4326", 360.0), ("EPSG:3857", ROUND), ("EPSG:32632", None), ("EPSG:3031", None)],
)
def test_only_cylinders_repeat_to_the_east(crs: str, period: float | None) -> None:
    assert period_of(pyproj.CRS(crs)) == (None if period is None else pytest.approx(period))


def test_a_projections_geographic_system_has_two_axes() -> None:
    base = geographic_of(pyproj.CRS("EPSG:32632"))
    assert (base.is_geographic, len(base.axis_info)) == (True, 2)


def test_a_grids_pixels_are_counted_from_its_corner() -> None:
    grid = Grid.of(Affine(0.5, 0, 100, 0, -0.5, 200), pyproj.CRS("EPSG:32632"), 8, 9)
    points = np.array([[100.0, 200.0], [101.0, 199.5]])
    assert grid.to_pixels(points).tolist() == [[0, 0], [2, 1]]


@pytest.mark.parametrize(("own", "geographic"), [("EPSG:32633", False), ("EPSG:4326", True)])
def test_the_area_of_a_raster_holds_its_corners_in_the_polygons_system(
    own: str, geographic: bool
) -> None:
    crs = pyproj.CRS("EPSG:32632")
    grid = Grid.of(Affine(1, 0, 800_000, 0, -1, 5_400_000), crs, 1000, 1000)
    chart = choose_chart(pyproj.CRS(own), grid)
    assert chart.is_geographic is geographic
    west, south, east, north = chart.area
    move = pyproj.Transformer.from_crs(crs, own, always_xy=True)
    for corner in [(800_000, 5_400_000), (801_000, 5_399_000)]:
        x, y = move.transform(*corner)
        assert west <= x <= east
        assert south <= y <= north
        np.testing.assert_allclose(chart.to_grid(np.array([[x, y]])), [corner], atol=1e-3)
