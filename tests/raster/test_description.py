"""The facts that an analyst asks about a raster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from geoseg.raster import open_raster
from geoseg.raster.description import describe_raster, description_lines
from tests.odd_rasters import add_page, add_rpcs, declare_scale

Make = Callable[..., Path]


def facts_of(path: Path) -> dict[str, Any]:
    return describe_raster(open_raster(path))


def lines_of(path: Path) -> dict[str, str]:
    return dict(description_lines(facts_of(path)))


def test_size_extent_and_place_are_those_of_the_grid(make_raster: Make) -> None:
    facts = facts_of(make_raster(transform=from_origin(500_000, 5_400_000, 0.5, 0.25)))
    assert (facts["height"], facts["width"]) == (64, 80)
    assert facts["extent_m"] == (40, 16)
    assert facts["bounds"] == [500_000, 5_400_000 - 16, 500_040, 5_400_000]
    assert facts["centre"] == pytest.approx((9.0003, 48.7529), abs=1e-4)


def test_a_raster_without_place_has_none_of_it(make_raster: Make) -> None:
    path = make_raster(crs=None, transform=None)
    facts, lines = facts_of(path), lines_of(path)
    assert [facts[name] for name in ("extent_m", "bounds", "centre", "crs")] == [None] * 4
    assert (lines["extent"], lines["transform"], lines["crs"]) == ("unknown", "none", "none")


def test_layout_and_overviews_are_told(make_raster: Make) -> None:
    path = make_raster(
        height=200, width=300, tiled=True, blockxsize=16, blockysize=32, compress="deflate"
    )
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.nearest)
    lines = lines_of(path)
    assert lines["blocks"] == "tiles of 32 x 16, DEFLATE, PIXEL"
    assert lines["overviews"] == "1/2, 1/4"
    assert lines_of(make_raster("b.tif", blockysize=8))["blocks"] == "strips of 8 x 80, PIXEL"


def test_values_are_those_of_valid_pixels_band_by_band(make_raster: Make) -> None:
    data = np.random.default_rng(0).integers(0, 5000, (3, 64, 80)).astype(np.int16)
    data[:, :16] = -9999
    facts = facts_of(make_raster(data=data, nodata=-9999))
    for band, values in zip(facts["band_facts"], data[:, 16:], strict=True):
        expected = [values.min(), *np.percentile(values, [2, 50, 98]), values.max()]
        names = ("minimum", "percentile_2", "median", "percentile_98", "maximum")
        assert [band[name] for name in names] == expected
        assert band["nodata"] == -9999
    assert facts["invalid_share"] == pytest.approx(0.25)
    assert facts["sampled_pixels"] == 64 * 80


def test_what_is_not_read_has_no_values_and_says_so(make_raster: Make) -> None:
    rgba = make_raster(bands=4, photometric="RGB", alpha="YES")
    assert lines_of(rgba)["band 4"] == "alpha uint8; not read as imagery"
    empty = make_raster("empty.tif", data=np.zeros((1, 64, 80), np.uint8), nodata=0)
    assert "no valid pixel in the sample" in lines_of(empty)["band 1"]
    assert lines_of(empty)["invalid"] == "100 % of the sample"


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float32", float(np.finfo(np.float32).min)), ("float64", -1.2345678901234567e300)],
)
def test_nodata_can_be_pasted_whatever_its_digits(
    make_raster: Make, dtype: str, value: float
) -> None:
    data = np.random.default_rng(0).random((3, 64, 80)).astype(dtype)
    data[:, :9] = value
    shown = lines_of(make_raster(data=data, nodata=value))["nodata"]
    assert float(shown) == value
    undeclared = make_raster("undeclared.tif", data=data)
    lowest = lines_of(undeclared)["band 1"].split(";")[1].split(" to ")[0]
    for text in (shown, lowest):
        with open_raster(undeclared, nodata=float(text)).open() as reader:
            _, valid = reader.read(0, 0, 64, 80)
        np.testing.assert_array_equal(valid, data[0] != value)


def test_scale_offset_and_unit_are_told_for_each_band(make_raster: Make) -> None:
    path = declare_scale(make_raster(dtype="int16"), 0.0001, -0.1)
    with rasterio.open(path, "r+") as file:
        file.units = ["", "reflectance", ""]
    band = facts_of(path)["band_facts"][1]
    assert (band["scale"], band["offset"], band["unit"]) == (0.0001, -0.1, "reflectance")
    assert "scale 0.0001, offset -0.1 (not applied); unit reflectance" in lines_of(path)["band 2"]


def test_pages_are_listed(make_raster: Make) -> None:
    path = add_page(add_page(make_raster()))
    assert facts_of(path)["pages"] == 3
    assert lines_of(path)["pages"].startswith(f"3 (GTIFF_DIR:1:{path}, GTIFF_DIR:2:{path}")
    assert lines_of(make_raster("one.tif"))["pages"] == "1"


def test_rpcs_and_control_points_are_facts(make_raster: Make) -> None:
    camera = add_rpcs(make_raster("rpc.tif", crs=None, transform=None))
    assert facts_of(camera)["rpc"]["lat_off"] == 1
    assert lines_of(camera)["rpc"] == "around 1, 1 (latitude, longitude)"
    pinned = make_raster("gcp.tif", crs=None, transform=None)
    points = [GroundControlPoint(r, c, 8 + c / 1e3, 48 - r / 1e3) for r, c in ((0, 0), (9, 9))]
    with rasterio.open(pinned, "r+") as file:
        file.gcps = (points, "EPSG:4326")
    assert lines_of(pinned)["control points"] == "2 (EPSG:4326)"


def test_a_sample_says_how_much_of_the_raster_it_is(make_raster: Make) -> None:
    path = make_raster(height=2000, width=2000, bands=1)
    assert lines_of(path)["sample"] == "1,048,576 pixels, 0.26 of all"


def test_the_lowest_value_is_found_between_windows_where_overviews_show_it(
    make_raster: Make,
) -> None:
    data = np.full((1, 3000, 3000), 100, np.int16)
    data[:, 190:194, 190:194] = -500
    path = make_raster(data=data, tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.average)
    assert facts_of(path)["band_facts"][0]["minimum"] == -500


def test_values_that_may_mean_no_data_are_named_without_a_model(make_raster: Make) -> None:
    data = np.random.default_rng(0).integers(1, 900, (2, 64, 80)).astype(np.int16)
    data[:, :9, :9] = -9999
    lines = lines_of(make_raster(data=data))
    assert lines["undeclared"] == "of 5,120 sampled pixels 81 are -9999, far from all others"
    assert "undeclared" not in lines_of(make_raster("scene.tif", data=data, nodata=-9999))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_rare_classes_of_labels_are_no_such_values(make_raster: Make, dtype: str) -> None:
    data = np.zeros((1, 64, 80), dtype)
    data[:, :9, :9] = 200
    data[:, :2, :2] = 5
    assert facts_of(make_raster(data=data))["undeclared"] is None


def test_a_border_that_may_mean_no_data_is_warned_of(make_raster: Make) -> None:
    data = np.random.default_rng(0).integers(1, 255, (3, 64, 80)).astype(np.uint8)
    data[:, :20] = 0
    (warning,) = facts_of(make_raster(data=data))["warnings"]
    assert "of its border is 0 in all bands; if this means no data" in warning


def test_of_many_files_that_it_refers_to_the_first_are_shown(
    make_raster: Make, tmp_path: Path
) -> None:
    sources = "".join(
        f"<SimpleSource><SourceFilename>{make_raster(f'{at}.tif', bands=1)}</SourceFilename>"
        "</SimpleSource>"
        for at in range(9)
    )
    path = tmp_path / "a.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="80" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1">'
        f"{sources}</VRTRasterBand></VRTDataset>"
    )
    assert lines_of(path)["refers to"].endswith("and 3 more")
    assert len(facts_of(path)["refers_to"]) == 9
