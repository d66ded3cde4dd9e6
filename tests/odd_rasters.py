"""Rasters whose metadata says what easily goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio

_RPCS = {
    **{f"{name}_OFF": "1" for name in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")},
    **{f"{name}_SCALE": "1" for name in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")},
    **{
        f"{name}_COEFF": " ".join(["1"] * 20)
        for name in ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")
    },
}


def declare_scale(path: Path, scale: float, offset: float) -> Path:
    """Write a scale and an offset of all bands."""
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = [scale] * file.count, [offset] * file.count
    return path


def add_rpcs(path: Path) -> Path:
    """Write the coefficients of a camera."""
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="RPC", **_RPCS)
    return path


def add_page(path: Path) -> Path:
    """Append a second image to a TIFF."""
    page = {"driver": "GTiff", "height": 9, "width": 7, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", APPEND_SUBDATASET="YES", **page) as file:
        file.write(np.ones((1, 9, 7), np.uint8))
    return path


def only_a_coordinate_system(make: Callable[..., Path], *, virtual: bool, **raster: object) -> Path:
    """A raster in UTM that does not say where; as a GeoTIFF or as a VRT."""
    if not virtual:
        return make("unplaced.tif", transform=None, **raster)
    path = make("pixels.tif", transform=None, crs=None, **raster)
    with rasterio.open(path) as file:
        bands = "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource>'
            f"<SourceFilename>{path}</SourceFilename><SourceBand>{band}</SourceBand>"
            "</SimpleSource></VRTRasterBand>"
            for band in range(1, file.count + 1)
        )
        size = f'rasterXSize="{file.width}" rasterYSize="{file.height}"'
    virtual_path = path.with_name("unplaced.vrt")
    virtual_path.write_text(f"<VRTDataset {size}><SRS>EPSG:32632</SRS>{bands}</VRTDataset>")
    return virtual_path
