"""Large rasters for the benchmarks: one generated scene, mirrored into as many pixels as needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from geoseg import scenes

_SIDE = 1024


def write_imagery(path: Path, size: int, bands: int = 3) -> Path:
    """A tiled, compressed uint8 GeoTIFF of `size` x `size` pixels, written strip by strip."""
    if path.exists():
        return path
    image, _ = scenes.render(7, 0, 0, _SIDE, _SIDE)
    tile = np.concatenate([image[:bands], image[:bands, :, ::-1]], 2)
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    profile = {
        "driver": "GTiff",
        "height": size,
        "width": size,
        "count": bands,
        "dtype": "uint8",
        "crs": "EPSG:32632",
        "transform": from_origin(500_000, 5_400_000, 0.2, 0.2),
        "tiled": True,
        "compress": "deflate",
        "zlevel": 1,
        "bigtiff": "if_safer",
    }
    temporary = path.with_suffix(".tmp")
    with rasterio.open(temporary, "w", **profile) as file:
        for top in range(0, size, 2 * _SIDE):
            height = min(2 * _SIDE, size - top)
            strip = np.tile(tile[:, :height], (1, 1, size // (2 * _SIDE) + 1))[:, :, :size]
            file.write(strip, window=Window(0, top, size, height))
    temporary.rename(path)
    return path
