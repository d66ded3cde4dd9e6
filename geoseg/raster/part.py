"""Finished rectangles of an output on disk: small GeoTIFFs that exist only when complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoseg.errors import SourceError
from geoseg.files import write_bytes
from geoseg.raster.gdal import open_dataset

BLOCK = 512
"""Side of the tiles of parts, overviews and COGs; a raster that fits into one has no overviews."""

PROFILE: dict[str, Any] = {
    "driver": "GTiff",
    "dtype": "uint8",
    "tiled": True,
    "blockxsize": BLOCK,
    "blockysize": BLOCK,
    # On class maps 300 MB/s in and 650 MB/s out on one core: faster than DEFLATE and LZW, and
    # smaller than PackBits.
    "compress": "zstd",
    "zstd_level": 1,
    "interleave": "band",
    # Every reader of a part knows its position. Of the identity, rasterio would warn that it is
    # not a transform.
    "transform": Affine.translation(1, 1),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of an output raster, in its own file."""

    path: Path
    row: int
    """First row, in pixels of the output."""
    col: int
    """First column."""
    height: int
    width: int


def write_part(part: Part, data: NDArray[np.uint8]) -> None:
    """Write a part in one step: its file is complete, or does not exist.

    Args:
        part: where it lies in the output, and its file.
        data: ``(height, width)`` or ``(bands, height, width)`` uint8.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
        ValueError: the data has another shape than the part.
    """
    planes = data[None] if data.ndim == 2 else data
    if planes.shape[1:] != (part.height, part.width):
        raise ValueError(
            f"data of shape {data.shape} for a part of {part.height} x {part.width} pixels"
        )
    # GDAL reports a full disk late or never, Python at once: the file is made in memory first.
    with MemoryFile() as memory:
        with memory.open(
            count=len(planes), height=part.height, width=part.width, **PROFILE
        ) as file:
            file.write(planes)
        # Under a temporary name, for a cluster may run a task twice at once.
        write_bytes(part.path, memory.getbuffer())


def read_part(part: Part) -> NDArray[np.uint8]:
    """``(bands, height, width)`` uint8.

    Raises:
        SourceError: the part is missing.
        rasterio.errors.RasterioIOError: the part is damaged.
    """
    # A part has no sidecars: GDAL need not look through the names of all other parts.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), open_dataset(part.path) as file:
        data: NDArray[np.uint8] = file.read()
    return data


def part_is_whole(part: Part, bands: int) -> bool:
    """Whether the file exists with the right shape and type, and all of it can be read."""
    try:
        data = read_part(part)
    except (SourceError, RasterioError):
        return False
    return data.shape == (bands, part.height, part.width) and data.dtype == np.uint8
