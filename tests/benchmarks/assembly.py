"""Assembling many parts: processor seconds a part, at 1,000 and at 60,000 parts."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geoseg.classes import ISPRS
from geoseg.raster import GDAL_CACHE_BYTES, Part, class_layer, write_cog, write_part

_SIDE = 32
"""Of a part, pixels: small, so that what is measured is the cost of a part."""


def assembly(folder: Path) -> None:
    """Class rasters of 1,000 and of 60,000 parts of 32 x 32: CPU time a part, the least of two."""
    seconds: dict[int, float] = {}
    for count in (1_000, 60_000, 1_000, 60_000):
        took = _assemble(folder / "parts", count)
        seconds[count] = min(took, seconds.get(count, math.inf))
        print(f"{count} parts: {1000 * took / count:.2f} ms a part", flush=True)
    ratio = (seconds[60_000] / 60_000) / (seconds[1_000] / 1_000)
    print(f"60,000 parts against 1,000: {ratio:.2f} times the time a part", flush=True)


def _assemble(folder: Path, count: int) -> float:
    """Processor seconds of one raster, as square as it can be, without those of writing parts."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 6, (_SIDE, _SIDE), dtype=np.uint8)
    across = math.isqrt(count)
    parts = []
    for number in range(count):
        row, col = divmod(number, across)
        part = Part(folder / f"{number}.tif", row * _SIDE, col * _SIDE, _SIDE, _SIDE)
        write_part(part, pixels)
        parts.append(part)
    place = {"transform": Affine.identity(), "crs": None, "fingerprint": "0"}
    started = time.process_time()
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        write_cog(
            class_layer(ISPRS),
            parts,
            folder / "all.tif",
            height=-(-count // across) * _SIDE,
            width=across * _SIDE,
            **place,
        )
    took = time.process_time() - started
    shutil.rmtree(folder)
    return took
