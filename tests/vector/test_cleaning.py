from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import ConfigError, SourceError
from geoseg.vector import Cleaning
from geoseg.vector.cleaning import Size


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (20, Size(20.0, False)),
        ("2.5", Size(2.5, False)),
        ("50px", Size(50.0, True)),
        (" 1e2 px ", Size(100.0, True)),
    ],
)
def test_a_size_is_in_metres_or_in_pixels(given: str | float, size: Size) -> None:
    assert Cleaning.from_options(min_area=given).min_area == size


@pytest.mark.parametrize("given", ["", "px", "0", "-3", "0px", "nan", "inf", "3 m", "3pxpx", True])
def test_no_size_is_refused_with_what_to_give(given: str) -> None:
    with pytest.raises(ConfigError, match=r"min_area .* give square metres above 0, such as"):
        Cleaning.from_options(min_area=given)


def test_what_has_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"keep car: .* give min_area too"):
        Cleaning.from_options(keep="car")
    with pytest.raises(ConfigError, match=r"smooth: .* give simplify too"):
        Cleaning.from_options(smooth=True)
    with pytest.raises(ConfigError, match=r"regularize roof: .* give simplify too"):
        Cleaning.from_options(regularize="roof")
    with pytest.raises(ConfigError, match=r"regularize_tolerance 2px: .* give regularize too"):
        Cleaning.from_options(simplify=1, regularize_tolerance="2px")
    for tolerance in ("1px", 4):
        options = {"simplify": "1px", "regularize": "roof", "regularize_tolerance": tolerance}
        with pytest.raises(ConfigError, match=r"simplify 1px moves .* give more than that, in the"):
            Cleaning.from_options(**options)
    squared = Cleaning.from_options(simplify="1px", regularize=["roof"])
    with pytest.raises(ConfigError, match=r"regularize 'roof' is no class; the classes are road"):
        squared.refuse_unknown(["road"])
    metres = Cleaning.from_options(min_area=20, keep=["car", "roof"])
    with pytest.raises(ConfigError, match=r"keep 'car' is no class; the classes are road, roof"):
        metres.refuse_unknown(["road", "roof"])
    with pytest.raises(SourceError, match=r"a\.tif: has no coordinate system.* such as 20px"):
        metres.refuse_unmeasurable("a.tif", None)
    Cleaning.from_options(min_area="20px").refuse_unmeasurable("a.tif", None)
    assert Cleaning().facts() == {}


def test_a_limit_counts_pixels_or_square_metres_and_spares_what_is_kept() -> None:
    place = (Affine(0.5, 0, 5e5, 0, -0.5, 5e6), CRS.from_epsg(32632), 10, 10)
    class_id, area = np.array([0, 1, 1], np.uint8), np.array([3, 3, 4])
    names = ["car", "road"]
    pixels = Cleaning.from_options(min_area="4px", keep="car").limit(names, *place)
    metres = Cleaning.from_options(min_area=1.0).limit(names, *place)
    assert pixels(class_id, area).tolist() == [True, False, True]
    assert metres(class_id, area).tolist() == [False, False, True]


def test_right_angles_may_move_borders_by_what_simplifying_leaves() -> None:
    place = (Affine(0.5, 0, 5e5, 0, -0.5, 5e6), CRS.from_epsg(32632), 10, 10)
    names = ["road", "roof", "car"]
    options = {"simplify": 0.5, "regularize": "car,roof"}
    angles = Cleaning.from_options(**options).drawing(names, *place).angles
    assert angles is not None
    assert angles.classes == (2, 1)
    assert (angles.metric.across, angles.metric.down) == pytest.approx((0.2, 0.2))
    wider = Cleaning.from_options(**options, regularize_tolerance=1).drawing(names, *place).angles
    assert wider is not None
    assert wider.metric.down == pytest.approx(1)
    assert Cleaning.from_options(simplify=1).drawing(names, *place).angles is None
