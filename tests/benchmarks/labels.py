"""Speed of label polygons: `prepare` on one large image, and on many images of one file."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.transform import from_origin

import geoseg

WEST, NORTH, PIXEL = 500_000.0, 5_400_000.0, 0.5
SPACE = 10
"""Pixels from one polygon to the next."""


def labels(folder: Path) -> None:
    """CPU seconds of `prepare` with 10^5 and 10^6 polygons, and with 1 and 100 images."""
    for count, images in ((100_000, 1), (1_000_000, 1), (100_000, 100)):
        side = 1 + int(np.sqrt(count - 1))
        drawn = _draw(folder / f"{count}.gpkg", count, side)
        source = folder / f"{count}_{images}"
        source.mkdir()
        for number in range(images):
            size = side * SPACE if images == 1 else 256
            _image(source / f"i{number}.tif", size, number * size * PIXEL)
        started = time.process_time()
        geoseg.prepare(
            *("folder", source, folder / f"out_{count}_{images}"),
            images="*.tif",
            labels=drawn,
            classes=["background", "building"],
            split="all",
        )
        seconds = time.process_time() - started
        speed = count / seconds
        print(
            f"{count:,} polygons, {images} images: {seconds:.1f} s, {speed:,.0f} polygons a second"
        )


def _draw(path: Path, count: int, side: int) -> Path:
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    west, north = (
        edge.ravel()[:count] for edge in (WEST + x * SPACE * PIXEL, NORTH - y * SPACE * PIXEL)
    )
    boxes = shapely.box(west + 0.4, north - 3.9, west + 3.9, north - 0.4)
    options = {"geometry_type": "Polygon", "crs": "EPSG:32632", "driver": "GPKG"}
    if not path.exists():
        pyogrio.raw.write(str(path), shapely.to_wkb(boxes), [], [], **options)
    return path


def _image(path: Path, size: int, east: float) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "compress": "lzw"}
    place = {"crs": "EPSG:32632", "transform": from_origin(WEST + east, NORTH, PIXEL, PIXEL)}
    with rasterio.open(path, "w", height=size, width=size, **profile, **place) as file:
        file.write(np.full((1, size, size), 7, np.uint8))
