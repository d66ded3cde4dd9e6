from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.vector.area import area_rule
from geoseg.vector.polygonize import to_crs

PIXELS = np.array(
    [shapely.box(3, 4, 40, 9) - shapely.box(10, 5, 12, 8), shapely.box(0, 0, 1, 1)], object
)
COUNTS = np.array([37 * 5 - 2 * 3, 1])
US_FOOT = 1200 / 3937


def areas(crs: CRS | str | None, transform: Affine) -> np.ndarray:
    crs = CRS.from_string(crs) if isinstance(crs, str) else crs
    return area_rule(transform, crs).areas(to_crs(PIXELS, transform), COUNTS)


def geodesic(crs: str, transform: Affine) -> list[float]:
    """What pyproj measures along geodesics."""
    to_geographic = pyproj.Transformer.from_crs(crs, pyproj.CRS(crs).geodetic_crs, always_xy=True)
    moved = shapely.transform(
        to_crs(PIXELS, transform), lambda xy: np.column_stack(to_geographic.transform(*xy.T))
    )
    geod = pyproj.CRS(crs).get_geod()
    return [
        abs(geod.geometry_area_perimeter(shapely.orient_polygons(polygon))[0]) for polygon in moved
    ]


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(1e-6, 0, 8.0, 0, -1e-6, 48.0)),
        ("EPSG:4326", Affine(1e-5, 2e-6, -70.0, 3e-6, -1e-5, -33.0)),
        ("EPSG:4326", Affine(1e-4, 0, 20.0, 0, -1e-4, 1e-3)),
        ("EPSG:4326", Affine(1e-5, 0, 20.0, 0, 1e-5, 85.0)),
        ("EPSG:4979", Affine(1e-6, 0, 8.0, 0, -1e-6, 48.0)),
        ("EPSG:3857", Affine(0.3, 0, 9e5, 0, -0.3, 6e6)),
        ("EPSG:3857", Affine(10.0, 0, 9e5, 0, -10.0, -8e6)),
        ("ESRI:102100", Affine(0.3, 0, 9e5, 0, -0.3, 6e6)),
    ],
)
def test_geographic_and_web_mercator_areas_are_those_on_the_ellipsoid(
    crs: str, transform: Affine
) -> None:
    np.testing.assert_allclose(areas(crs, transform), geodesic(crs, transform), rtol=2e-6)


def test_grades_are_no_degrees() -> None:
    grades = Affine(1e-6, 0, 2.0, 0, -1e-6, 50.0)
    degrees = Affine.scale(0.9) * grades
    np.testing.assert_allclose(
        areas("EPSG:4901", grades)[1], areas("EPSG:4326", degrees)[1], rtol=1e-3
    )


def test_areas_on_a_sphere_follow_its_formula() -> None:
    sphere = CRS.from_proj4("+proj=longlat +R=6371000 +no_defs")
    quad = np.array([shapely.box(10, 20, 12, 25)], object)
    expected = 6_371_000**2 * np.radians(2) * (np.sin(np.radians(25)) - np.sin(np.radians(20)))
    np.testing.assert_allclose(
        area_rule(Affine.identity(), sphere).areas(quad, np.ones(1, int)), expected, rtol=1e-12
    )


def test_areas_of_the_pixels_of_a_region_add_up_to_its_area() -> None:
    rule = area_rule(Affine.identity(), CRS.from_epsg(4326))
    cells = np.array(
        [shapely.box(col, row, col + 1, row + 1) for col in range(5) for row in range(40, 60)],
        object,
    )
    together = np.array([shapely.box(0, 40, 5, 60)], object)
    np.testing.assert_allclose(
        rule.areas(cells, np.ones(100, int)).sum(), rule.areas(together, COUNTS[:1]), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("crs", "metres"),
    [
        ("EPSG:32632", 1.0),
        ("EPSG:2263", US_FOOT),
        ("EPSG:3395", 1.0),
        ("EPSG:5555", 1.0),
        (CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048]]'), 0.3048),
    ],
    ids=["UTM", "US feet", "ellipsoidal mercator", "with heights", "site grid in feet"],
)
@pytest.mark.parametrize(
    "transform",
    [Affine(0.5, 0, 5e5, 0, -0.5, 5e6), Affine(0.3, 0.4, 5e5, 0.4, -0.3, 5e6)],
    ids=["upright", "rotated"],
)
def test_other_areas_are_planar_in_square_metres(
    crs: CRS | str, metres: float, transform: Affine
) -> None:
    np.testing.assert_allclose(areas(crs, transform), COUNTS * 0.25 * metres**2, rtol=1e-12)


def test_without_crs_there_is_no_area() -> None:
    assert np.isnan(areas(None, Affine.identity())).all()


def test_no_polygons_have_no_areas() -> None:
    rule = area_rule(Affine.identity(), CRS.from_epsg(4326))
    assert rule.areas(np.zeros(0, object), np.zeros(0, int)).size == 0
