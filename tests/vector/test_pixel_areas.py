from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.geodesy import area_rule
from geoseg.tiling import Window
from geoseg.vector.pixel_areas import PixelAreas
from geoseg.vector.polygonize import to_crs

HEIGHT, WIDTH = 40, 700


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (4326, Affine(1e-3, 0, 10, 0, -1e-3, 60)),
        (4326, Affine(8e-4, 3e-4, 10, 3e-4, -8e-4, 60)),
        (3857, Affine(100, 0, 1e6, 0, -100, 8e6)),
        (32632, Affine(100, 0, 2e6, 0, -100, 5.4e6)),
    ],
)
def test_pixels_add_up_to_what_polygons_measure(crs: int, transform: Affine) -> None:
    place = (transform, CRS.from_epsg(crs), HEIGHT, WIDTH)
    areas = PixelAreas.of(*place)
    whole = areas.weights(Window(0, 0, HEIGHT, WIDTH))
    assert whole is not None
    for window in (Window(3, 250, 9, 20), Window(30, 699, 10, 1), Window(0, 0, HEIGHT, WIDTH)):
        np.testing.assert_array_equal(areas.weights(window), whole[window.slices()])
        edges = (window.col, window.row, window.col_end, window.row_end)
        box = np.array([shapely.segmentize(shapely.box(*edges), 1)])
        measured = area_rule(*place).areas(to_crs(box, transform), np.zeros(1, np.int64))[0]
        found = whole[window.slices()].sum() * areas.unit
        assert found == pytest.approx(measured, rel=1e-5)


def test_in_the_plane_each_pixel_is_one_unit() -> None:
    areas = PixelAreas.of(Affine(0.5, 0, 5e5, 0, -0.5, 5e6), CRS.from_epsg(32632), 10, 10)
    assert areas.weights(Window(0, 0, 5, 5)) is None
    assert areas.unit == 0.25
