from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from rasterio.errors import RasterioError
from rasterio.features import shapes
from rasterio.transform import Affine

from geoseg.classes import CITYSCAPES, ISPRS
from geoseg.errors import SourceError, VectorError
from geoseg.evaluation.instances import open_instances
from geoseg.raster import Source, open_raster
from geoseg.tiling import Window

Make = Callable[..., Path]

SHAPE = (64, 80)
WHOLE = Window(0, 0, *SHAPE)


@pytest.fixture
def reference(make: Make) -> Source:
    return open_raster(make("a_label.tif", np.zeros(SHAPE, np.uint8)))


@pytest.fixture
def numbers() -> np.ndarray:
    """Objects 1, 2, 3 in file order; the second touches the right edge."""
    numbers = np.zeros(SHAPE, np.uint16)
    numbers[4:12, 4:20], numbers[20:28, 64:80], numbers[40:64, 10:30] = 1, 2, 3
    return numbers


def test_a_raster_holds_a_number_an_object(
    make: Make, reference: Source, numbers: np.ndarray
) -> None:
    path = make("a_instances.tif", numbers, nodata=2)
    with open_instances(path, reference, ISPRS) as objects:
        found = objects.read(Window(3, 2, 50, 70))
        assert objects.class_of is None
    with pytest.raises((SourceError, RasterioError)):  # it is closed
        objects.read(WHOLE)
    expected = np.where(numbers == 2, 0, numbers)[3:53, 2:72]
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".GPKG"])
def test_polygons_in_another_crs_are_numbered_in_file_order(
    suffix: str, reference: Source, numbers: np.ndarray, tmp_path: Path
) -> None:
    outlines = [
        shapely.geometry.shape(outline)
        for outline, value in shapes(numbers, transform=reference.transform)
        if value
    ]
    outlines.sort(key=lambda outline: -outline.bounds[3])  # from north to south, as numbered
    frame = geopandas.GeoDataFrame(geometry=outlines, crs="EPSG:32632").to_crs("EPSG:4326")
    path = tmp_path / "cars.gpkg"
    frame.to_file(tmp_path / "cars.json" if suffix == ".geojson" else path, engine="pyogrio")
    if suffix == ".geojson":
        path = (tmp_path / "cars.json").rename(tmp_path / "cars.geojson")
    path = path.rename(path.with_suffix(suffix))
    with open_instances(path, reference, ISPRS) as objects:
        np.testing.assert_array_equal(objects.read(WHOLE), numbers)
        assert objects.read(WHOLE).dtype == np.int64
        assert objects.class_of is None
        for window in (Window(6, 0, 20, 80), Window(24, 60, 30, 20), Window(0, 30, 4, 9)):
            np.testing.assert_array_equal(objects.read(window), numbers[window.slices()])


def test_of_overlapping_polygons_the_later_one_has_the_pixels(
    reference: Source, tmp_path: Path
) -> None:
    west, north = 500_000, 5_400_000  # pixels of half a metre
    boxes = [shapely.box(west, north - 10, west + 10, north)] * 9
    boxes[4] = shapely.box(west, north - 2, west + 2, north)
    boxes[8] = shapely.box(west + 5, north - 5, west + 10, north)
    geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32632").to_file(tmp_path / "boxes.gpkg")
    expected = np.zeros(SHAPE, np.int64)
    expected[:20, :20] = 8
    expected[:10, 10:20] = 9
    with open_instances(tmp_path / "boxes.gpkg", reference, ISPRS) as objects:
        np.testing.assert_array_equal(objects.read(WHOLE), expected)


@pytest.mark.parametrize("name", ["a_gtFine_instanceIds.tif", "a.tif"])
def test_instance_ids_of_cityscapes_have_their_class_written_in_them(
    name: str, make: Make, reference: Source
) -> None:
    ids = np.full(SHAPE, 7, np.int32)
    ids[4:12, 4:20] = 26_000  # a car
    ids[20:28, 4:20] = 26  # a group of cars
    ids[40:48, 4:20] = 29_999  # a caravan: not evaluated
    ids[50:52] = 1000
    ids[52:54] = 999
    with open_instances(make(name, ids), reference, CITYSCAPES) as objects:
        found = objects.read(WHOLE)
        assert objects.class_of is not None
        classes = objects.class_of(np.array([26_000, 26_012, 29_999, 24_001]))
    np.testing.assert_array_equal(found, np.where(ids >= 1000, ids, 0))
    assert classes.tolist() == [13, 13, -1, 11]
    assert classes.dtype == np.int64


def test_the_name_instance_ids_says_cityscapes_whatever_the_classes(
    make: Make, reference: Source
) -> None:
    ids = np.full(SHAPE, 5, np.int32)
    ids[:9] = 3_007
    for name, largest in (("a_instanceIds.tif", 3_007), ("a_instances.tif", 5)):
        with open_instances(make(name, ids), reference, ISPRS) as objects:
            assert (objects.class_of is None) == (largest == 5)
            assert objects.read(Window(20, 0, 5, 80)).max() == (0 if largest == 3_007 else 5)


@pytest.mark.parametrize("array", [np.zeros(SHAPE, np.float32), np.zeros((2, *SHAPE), np.uint8)])
def test_a_raster_without_numbers_is_refused(
    array: np.ndarray, make: Make, reference: Source
) -> None:
    message = r"band\(s\) of .* are not objects; give one band of whole numbers, or polygons"
    path = make("a_instances.tif", array)
    with pytest.raises(SourceError, match=message), open_instances(path, reference, ISPRS):
        pass


def test_objects_that_do_not_fit_are_refused(
    make: Make, reference: Source, numbers: np.ndarray, tmp_path: Path
) -> None:
    message = r"10 x 80 pixels .* do not lie on the grid of .*a_label.tif"
    small = make("small.tif", numbers[:10])
    with pytest.raises(SourceError, match=message), open_instances(small, reference, ISPRS):
        pass
    broken = tmp_path / "broken.geojson"
    broken.write_text("{}")
    message = r"broken.geojson: no polygons that can be read"
    with pytest.raises(VectorError, match=message), open_instances(broken, reference, ISPRS):
        pass
    unplaced = open_raster(make("b.tif", np.zeros(SHAPE, np.uint8), crs=None, transform=None))
    message = r"64 x 80 pixels without georeferencing has no place for the polygons of .*x.gpkg"
    missing = tmp_path / "x.gpkg"
    with pytest.raises(SourceError, match=message), open_instances(missing, unplaced, ISPRS):
        pass


def test_polygons_lie_where_a_turned_reference_has_them(make: Make, tmp_path: Path) -> None:
    turned = Affine.translation(500_000, 5_400_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    reference = open_raster(make("t.tif", np.zeros(SHAPE, np.uint8), transform=turned))
    corners = [turned @ corner for corner in ((8, 5), (28, 5), (28, 15), (8, 15))]
    frame = geopandas.GeoDataFrame(geometry=[shapely.Polygon(corners)], crs="EPSG:32632")
    frame.to_file(tmp_path / "box.gpkg")
    with open_instances(tmp_path / "box.gpkg", reference, ISPRS) as objects:
        found = objects.read(WHOLE)
    expected = np.zeros(SHAPE, np.int64)
    expected[5:15, 8:28] = 1
    np.testing.assert_array_equal(found, expected)
