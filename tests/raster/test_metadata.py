"""What metadata says about values and place is used, or named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint

from geoseg.errors import SourceError
from geoseg.raster import check_source, open_raster, shared_notes
from tests.odd_rasters import (
    add_page,
    add_rpcs,
    declare_scale,
    only_a_coordinate_system,
)

Make = Callable[..., Path]


def test_scale_and_offset_are_named_and_values_taken_as_stored(make_raster: Make) -> None:
    source = open_raster(declare_scale(make_raster(), 0.0001, -0.1))
    (line,) = source.warnings
    assert "declares scale 0.0001, offset -0.1, not applied: values are taken as stored" in line


def test_pages_that_are_not_read_are_counted(make_raster: Make) -> None:
    source = open_raster(add_page(add_page(make_raster())))
    (line,) = source.warnings
    assert "holds 3 pages, only the first is read (64 x 80 pixels)" in line


def test_masks_and_overviews_are_no_pages(make_raster: Make) -> None:
    path = make_raster(height=200, width=300, tiled=True, blockxsize=16, blockysize=16)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.eye(*file.shape) > 0)
        file.build_overviews([2, 4])
    assert open_raster(path).warnings == ()


@pytest.mark.parametrize(
    ("placed", "line"),
    [
        (True, "has RPCs beside its transform; they are not used"),
        (False, "is placed by RPCs only, .*orthorectify it first"),
    ],
)
def test_rpcs_are_named(make_raster: Make, placed: bool, line: str) -> None:
    place = {} if placed else {"crs": None, "transform": None}
    (found,) = open_raster(add_rpcs(make_raster(**place))).warnings
    assert re.search(line, found)


def test_ground_control_points_are_named(make_raster: Make) -> None:
    path = make_raster(crs=None, transform=None)
    points = [GroundControlPoint(r, c, 8 + c / 1e3, 48 - r / 1e3) for r, c in ((0, 0), (9, 9))]
    with rasterio.open(path, "r+") as file:
        file.gcps = (points, "EPSG:4326")
    source = open_raster(path)
    (line,) = source.warnings
    assert "is placed by ground control points only" in line
    assert source.crs is None


@pytest.mark.parametrize("virtual", [False, True])
def test_a_coordinate_system_without_a_transform_is_no_place(
    make_raster: Make, virtual: bool
) -> None:
    source = open_raster(only_a_coordinate_system(make_raster, virtual=virtual))
    assert (source.crs, source.georeferenced, source.ground_sampling) == (None, False, None)
    (line,) = source.warnings
    assert "has a coordinate system (EPSG:32632) and neither transform nor world file" in line


def test_signed_bytes_are_read_with_their_sign(make_raster: Make) -> None:
    data = np.arange(-128, 128, dtype=np.int8).reshape(1, 16, 16)
    source = open_raster(make_raster(data=data, nodata=-128))
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, 16, 16)
    np.testing.assert_array_equal(pixels, data)
    np.testing.assert_array_equal(valid, data[0] != -128)


def test_signed_bytes_in_the_old_way_are_refused(make_raster: Make, tmp_path: Path) -> None:
    (tmp_path / "old.vrt").write_text(
        '<VRTDataset rasterXSize="80" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1">'
        '<Metadata domain="IMAGE_STRUCTURE"><MDI key="PIXELTYPE">SIGNEDBYTE</MDI></Metadata>'
        f"<SimpleSource><SourceFilename>{make_raster(bands=1)}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(SourceError, match=r"old\.vrt: its bytes are marked as signed .*as Int8"):
        open_raster(tmp_path / "old.vrt")


def test_a_palette_is_refused_with_the_command_that_expands_it(make_raster: Make) -> None:
    path = make_raster(bands=1, photometric="PALETTE")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255)})
    with pytest.raises(SourceError, match=r"palette indices.*-expand rgb FILE EXPANDED"):
        check_source(open_raster(path), bands=["grey"], value_range=(0, 255), ground_sampling=None)


def test_what_many_files_share_is_said_once(make_raster: Make) -> None:
    paths = [declare_scale(make_raster(f"{name}.tif"), 0.5, 0.0) for name in "abc"]
    (line,) = shared_notes([open_raster(path) for path in [*paths, make_raster("d.tif")]])
    assert line.startswith(f"{paths[0]}: declares scale 0.5")
    assert line.endswith("(and so 2 more)")
