"""Coordinate systems are one where they place points alike, and have short names."""

from __future__ import annotations

from typing import Any

import pyproj
import pytest
from rasterio.crs import CRS

from geoseg.coordinate_systems import crs_name, horizontal_crs, same_crs

SITE = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048]]')
ALIKE = [
    ("EPSG:25832", "EPSG:25832+7837", True),
    ("EPSG:4326", "OGC:CRS84", True),
    ("EPSG:4326", "EPSG:4979", True),
    ("EPSG:5041", "EPSG:32661", True),
    ("EPSG:25832", "EPSG:25833", False),
    ("EPSG:25832", "EPSG:32632", False),
    ("EPSG:25832+7837", "EPSG:25833+7837", False),
    ("EPSG:25832+7837", "EPSG:25832+5783", True),
]


@pytest.mark.parametrize(("one", "other", "same"), ALIKE)
@pytest.mark.parametrize("kind", [CRS.from_user_input, pyproj.CRS.from_user_input])
def test_heights_and_the_order_of_axes_make_no_other_crs(
    one: str, other: str, same: bool, kind: Any
) -> None:
    assert same_crs(kind(one), kind(other)) == same_crs(kind(other), kind(one)) == same
    bound = pyproj.CRS(one).to_2d() if pyproj.CRS(one).is_geographic else None
    if bound is not None:
        shifted = pyproj.crs.BoundCRS(
            bound,
            "EPSG:4326",
            pyproj.crs.coordinate_operation.ToWGS84Transformation(bound, 1, 2, 3),
        )
        assert same_crs(shifted, kind(one))
        assert horizontal_crs(shifted).is_bound


@pytest.mark.parametrize("text", [*sorted({one for one, _, _ in ALIKE}), "+proj=robin +type=crs"])
def test_a_crs_has_a_short_name(text: str) -> None:
    for crs in (CRS.from_user_input(text), pyproj.CRS.from_user_input(text)):
        assert len(crs_name(crs)) < 60
        assert "[" not in crs_name(crs)
    assert crs_name(CRS.from_epsg(25832)) == "EPSG:25832"
    assert crs_name(SITE) == "site"
    assert crs_name(CRS.from_user_input("EPSG:25832+7837")) == (
        "ETRS89 / UTM zone 32N + DHHN2016 height"
    )
