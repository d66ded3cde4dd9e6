"""Drivers by first bytes, and the metadata of TIFFs against GDAL's own writer."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio

from geoseg.raster.content import (
    MIN_IS_WHITE,
    PALETTE,
    raster_driver,
    tiff_metadata,
    tiff_photometric,
)


@pytest.mark.parametrize(
    ("driver", "suffix"), [("GTiff", ".png"), ("PNG", ".tif"), ("JPEG", ".txt"), ("HFA", ".img")]
)
def test_a_file_is_what_it_holds_whatever_its_name(
    tmp_path: Path, make_raster: Callable[..., Path], driver: str, suffix: str
) -> None:
    source, path = make_raster(bands=3), tmp_path / f"a{suffix}"
    rasterio.shutil.copy(source, tmp_path / "made", driver=driver)
    (tmp_path / "made").rename(path)
    assert raster_driver(path) == driver


def test_a_description_after_the_first_bytes_of_a_picture_is_a_description(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff <VRTDataset rasterXSize='1'/>")
    assert raster_driver(path) == "VRT"


@pytest.mark.parametrize("content", [b"", b"II", b"<GDAL_WMS/>", b"{}", b"name,x\na,1\n"])
def test_what_geoseg_does_not_open_has_no_driver(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert raster_driver(path) is None


@pytest.mark.parametrize("big", ["yes", "no"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_the_metadata_of_a_tiff_is_what_gdal_has_written(
    make_raster: Callable[..., Path], big: str, order: str
) -> None:
    path = make_raster(bigtiff=big, endianness=order)
    assert tiff_metadata(path) == b""
    with rasterio.open(path, "r+") as file:
        file.update_tags(FLOWN="in May")
    assert b'<Item name="FLOWN">in May</Item>' in tiff_metadata(path)


@pytest.mark.parametrize("offset", [2**63, 2**64 - 1, 10**6])
def test_offsets_beyond_the_file_lead_nowhere(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset))
    assert tiff_metadata(path) == b""
    entry = struct.pack("<HHQQ", 42112, 2, 2**40, offset)
    path.write_bytes(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1) + entry)
    assert tiff_metadata(path) == b""


@pytest.mark.parametrize("photometric", [MIN_IS_WHITE, PALETTE])
@pytest.mark.parametrize("order", ["little", "big"])
def test_what_the_values_of_a_tiff_are_is_what_gdal_has_written(
    make_raster: Callable[..., Path], photometric: int, order: str
) -> None:
    name = {0: "MINISWHITE", 3: "PALETTE"}[photometric]
    assert tiff_photometric(make_raster(bands=1, photometric=name, endianness=order)) == photometric
    assert tiff_photometric(make_raster("rgb.tif", endianness=order)) == 2
