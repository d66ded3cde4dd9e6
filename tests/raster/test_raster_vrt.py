import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from geoseg.classes import ClassScheme
from geoseg.raster import Part, class_layer, write_part
from geoseg.raster.layers import Layer
from geoseg.raster.overviews import halve_by_mode
from geoseg.raster.raster_vrt import RasterVRT

GRID = Affine(0.5, 0.1, 500_000.0, 0.2, -0.5, 5_400_000.0)
UTM = CRS.from_epsg(32632)
TWO_BANDS = Layer(["a", "b"], halve_by_mode, 255)
CLASSES = ClassScheme.from_names(["<road>", "roof"], [[1, 2, 3], [4, 5, 6]])


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 2, (2, 30, 50), dtype=np.uint8)


@pytest.fixture
def parts(tmp_path, data):
    """Two parts of different size; rows 20 to 29 of the first 10 columns are covered by none."""
    made = []
    for row, col, height, width in ((0, 0, 20, 10), (0, 10, 30, 40)):
        part = Part(tmp_path / f"a & {col}.tif", row, col, height, width)
        write_part(part, data[:, row : row + height, col : col + width])
        made.append(part)
    return made


def opened(vrt, tmp_path, overviews=()):
    path = tmp_path / "all.vrt"
    path.write_text(vrt.to_xml(overviews), encoding="utf-8")
    return rasterio.open(path)


def test_it_reads_as_its_parts_with_nodata_where_there_is_none(parts, data, tmp_path):
    layer = Layer(["first", "<second>"], halve_by_mode, 255, tags={"c": "d"})
    vrt = RasterVRT(layer, parts, 30, 50, GRID, UTM, {"a<": "&b"})
    with opened(vrt, tmp_path) as file:
        expected = data.copy()
        expected[:, 20:, :10] = 255
        assert (file.read() == expected).all()
        assert (file.shape, file.transform, file.crs, file.nodata) == ((30, 50), GRID, UTM, 255)
        assert file.descriptions == ("first", "<second>")
        assert (file.tags()["a<"], file.tags()["c"]) == ("&b", "d")
        assert file.scales == (1.0, 1.0)


def test_scale_is_what_values_are_multiplied_by(parts, tmp_path):
    layer = Layer(["a", "b"], halve_by_mode, 0, scale=1 / 255)
    vrt = RasterVRT(layer, parts, 30, 50, GRID, UTM)
    with opened(vrt, tmp_path) as file:
        assert file.scales == pytest.approx((1 / 255, 1 / 255))
        assert file.offsets == (0.0, 0.0)


def test_without_georeferencing_there_is_none(parts, tmp_path):
    vrt = RasterVRT(TWO_BANDS, parts, 30, 50, Affine.identity(), None)
    assert "<SRS>" not in vrt.to_xml()
    assert "<GeoTransform>" not in vrt.to_xml()


def test_all_256_values_have_a_name_and_a_colour(parts, tmp_path):
    vrt = RasterVRT(class_layer(CLASSES), parts, 30, 50, GRID, UTM)
    root = ET.fromstring(vrt.to_xml())
    names = [entry.text or "" for entry in root.iter("Category")]
    assert len(names) == 256
    assert {index: name for index, name in enumerate(names) if name} == {
        0: "<road>",
        1: "roof",
        254: "uncertain",
        255: "no data",
    }
    with opened(vrt, tmp_path) as file:
        palette = file.colormap(1)
    assert palette[0] == (1, 2, 3, 255)
    assert palette[1] == (4, 5, 6, 255)
    assert palette[2] == (0, 0, 0, 255)
    assert palette[254] == (128, 128, 128, 255)
    assert palette[255] == (0, 0, 0, 0)


def test_the_attribute_table_lists_the_values_that_mean_something(parts):
    root = ET.fromstring(RasterVRT(class_layer(CLASSES), parts, 30, 50, GRID, UTM).to_xml())
    fields = [[part.text for part in field] for field in root.iter("FieldDefn")]
    # GDAL's GDALRATFieldType and GDALRATFieldUsage.
    assert fields == [
        ["Value", "0", "5"],
        ["Class", "2", "2"],
        ["Red", "0", "6"],
        ["Green", "0", "7"],
        ["Blue", "0", "8"],
    ]
    rows = [[row.get("index"), *(cell.text for cell in row)] for row in root.iter("Row")]
    assert rows == [
        ["0", "0", "<road>", "1", "2", "3"],
        ["1", "1", "roof", "4", "5", "6"],
        ["2", "254", "uncertain", "128", "128", "128"],
    ]
    assert [field.get("index") for field in root.iter("FieldDefn")] == list("01234")


@pytest.fixture
def masked(tmp_path):
    """Make a file of two bands with a mask."""

    def make(name, height, width, rows):
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 2, "transform": GRID}
        values = np.random.default_rng(1).integers(0, 9, (2, height, width), dtype=np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[rows:] = 255
        path = tmp_path / name
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", height=height, width=width, **profile) as file,
        ):
            file.write(values)
            file.write_mask(mask)
        return path, values, mask

    return make


def test_masks_are_those_of_the_files_and_overviews_those_given(masked, tmp_path):
    (base, values, mask), (half, small, small_mask) = masked("b", 30, 50, 3), masked("h", 15, 25, 4)
    layer = Layer(["a", "b"], halve_by_mode)
    vrt = RasterVRT(layer, [Part(Path(base.name), 0, 0, 30, 50)], 30, 50, GRID, UTM)
    with opened(vrt, tmp_path, [Path(half.name)]) as file:
        assert file.nodata is None
        assert (file.read() == values).all()
        assert (file.read_masks(2) == mask).all()
    with rasterio.open(tmp_path / "all.vrt", OVERVIEW_LEVEL=0) as file:
        assert (file.read() == small).all()
        assert (file.read_masks(1) == small_mask).all()


def test_parts_are_opened_only_when_they_are_read(parts, tmp_path):
    vrt = RasterVRT(TWO_BANDS, parts, 30, 50, GRID, UTM)
    parts[1].path.unlink()
    with opened(vrt, tmp_path) as file:
        file.read(window=rasterio.windows.Window(0, 0, 10, 20))
        with pytest.raises(rasterio.errors.RasterioIOError):
            file.read()
