import math

import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform as warp

from geoseg.raster.ground import ground_sampling


def test_metric_crs_gives_the_pixel_size():
    assert ground_sampling(
        from_origin(5e5, 54e5, 0.2, 0.2), CRS.from_epsg(32632), 100, 100
    ) == pytest.approx(0.2)


def test_rotated_and_south_up_pixels_keep_their_size():
    rotated = Affine.translation(5e5, 54e5) * Affine.rotation(30) * Affine.scale(0.5, 0.5)
    assert ground_sampling(rotated, CRS.from_epsg(32632), 10, 10) == pytest.approx(0.5)


def test_feet_are_converted():
    assert ground_sampling(
        from_origin(1e6, 2e5, 1, 1), CRS.from_epsg(2263), 10, 10
    ) == pytest.approx(0.3048, rel=1e-4)


def test_web_mercator_shrinks_by_the_cosine_of_the_latitude_at_the_centre():
    (x,), (y,) = warp("EPSG:4326", "EPSG:3857", [85.5], [60.0])
    grid = from_origin(x - 50, y + 50, 1, 1)
    assert ground_sampling(grid, CRS.from_epsg(3857), 100, 100) == pytest.approx(
        math.cos(math.radians(60)), rel=1e-4
    )


@pytest.mark.parametrize("latitude", [0.0, 45.0, -60.0])
def test_degrees_agree_with_the_same_pixel_in_utm(latitude):
    degree = 1e-5
    zone = 32600 + 31 if latitude >= 0 else 32700 + 31
    xs, ys = warp(
        "EPSG:4326", f"EPSG:{zone}", [3, 3 + degree, 3], [latitude, latitude, latitude + degree]
    )
    across = math.hypot(xs[1] - xs[0], ys[1] - ys[0])
    down = math.hypot(xs[2] - xs[0], ys[2] - ys[0])
    expected = math.sqrt(across * down) / 0.9996  # UTM's scale on its central meridian
    grid = from_origin(3, latitude, degree, degree)
    assert ground_sampling(grid, CRS.from_epsg(4326), 1, 1) == pytest.approx(expected, rel=1e-3)


def test_without_a_crs_or_with_a_local_one_nothing_is_known():
    grid = from_origin(0, 0, 1, 1)
    assert ground_sampling(grid, None, 10, 10) is None
    assert ground_sampling(grid, CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]'), 10, 10) is None
