"""Finished rectangles of an output on disk: small GeoTIFFs that exist only when complete.

Each says inside which part it is, and has a checksum of its pixels: a part of another layout or
run under the same name, or one that the disk has damaged, is never taken for the one that is asked
for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geoseg.errors import PartError
from geoseg.files import write_bytes
from geoseg.places import AnyPath
from geoseg.raster.gdal import GDAL_ERRORS

BLOCK = 512
"""Side of the tiles of parts, overviews and COGs; a raster that fits into one has no overviews."""

_PROFILE: dict[str, Any] = {
    "driver": "GTiff",
    "dtype": "uint8",
    "tiled": True,
    # On class maps 300 MB/s in and 650 MB/s out on one core: faster than DEFLATE and LZW, and
    # smaller than PackBits.
    "compress": "zstd",
    "zstd_level": 1,
    "interleave": "band",
    # The position is in a tag. Of the identity, rasterio would warn that it is not a transform.
    "transform": Affine.translation(1, 1),
}

_TILES = 16
"""What the sides of a TIFF's tiles are multiples of."""
_UNREADABLE: tuple[type[Exception], ...] = (OSError, *GDAL_ERRORS)
_IDENTITY = "GEOSEG_PART"
"""The tag that says which part the file is."""
_CHECKSUM = "GEOSEG_CRC32"
"""The tag with the checksum of its pixels, 8 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of an output raster, in its own file."""

    path: AnyPath
    row: int
    """First row, in pixels of the output."""
    col: int
    """First column."""
    height: int
    width: int
    key: str = ""
    """Of the run that it belongs to."""
    await_file: Callable[[], None] | None = field(default=None, compare=False)
    """Returns once its file is written, or raises why it never will be; None: it is by now."""
    held: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    """``(bands, height, width)``: what `read_part` gives, where there is no file of it."""

    def wait(self) -> None:
        """Wait until its file is written, if it is yet to come."""
        if self.await_file is not None:
            self.await_file()

    def identity(self, bands: int) -> str:
        """All that tells it from other parts, as its file says it."""
        return (
            f"{self.path.name} {self.row} {self.col} {self.height} {self.width} {bands} {self.key}"
        )


def plain_profile(bands: int, height: int, width: int) -> dict[str, Any]:
    """What rasterio is to know of a plain GeoTIFF; the tile of a small one is no larger than it."""
    rows, cols = (min(BLOCK, -(-side // _TILES) * _TILES) for side in (height, width))
    size = {"count": bands, "height": height, "width": width}
    return {**_PROFILE, **size, "blockxsize": cols, "blockysize": rows}


def large_profile(bands: int, height: int, width: int) -> dict[str, Any]:
    """The same of one that may have any size: threads compress its tiles."""
    return plain_profile(bands, height, width) | {"bigtiff": "if_safer", "num_threads": "all_cpus"}


def write_part(part: Part, data: NDArray[np.uint8]) -> int:
    """Write a part in one step: its file is complete, or does not exist.

    Args:
        part: where it lies in the output, and its file.
        data: ``(height, width)`` or ``(bands, height, width)`` uint8.

    Returns:
        The bytes of its file.

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
        with memory.open(**plain_profile(len(planes), part.height, part.width)) as file:
            file.write(planes)
            file.update_tags(
                **{_IDENTITY: part.identity(len(planes)), _CHECKSUM: _checksum(planes)}
            )
        # Under a temporary name, for a cluster may run a task twice at once.
        content = memory.getbuffer()
        write_bytes(part.path, content)
        return len(content)


def read_part(part: Part) -> NDArray[np.uint8]:
    """``(bands, height, width)`` uint8, as they were written; one that is yet to come is awaited.

    Raises:
        PartError: the part is missing or damaged, or the file is another part.
    """
    part.wait()
    if part.held is not None:
        return part.held
    with _open_part(part) as file:
        data: NDArray[np.uint8] = file.read()
        if file.tags().get(_CHECKSUM) != _checksum(data):
            raise _not_this_part(part)
    return data


def part_is_whole(part: Part, bands: int) -> bool:
    """Whether the file is this part, of so many bands, with the pixels that were written."""
    try:
        return len(read_part(part)) == bands
    except PartError:
        return False


@contextmanager
def _open_part(part: Part) -> Iterator[Any]:
    """The dataset of a part's file, once it is known to be this part."""
    try:
        # From memory, as it was made: whatever lies beside the file says nothing about it.
        content = part.path.read_bytes() or b"empty"  # of nothing, rasterio makes a new file
        with MemoryFile(content) as memory, memory.open(driver="GTiff") as file:
            # Before any pixel is read: of a damaged size, GDAL would fill the memory.
            same_shape = (file.height, file.width) == (part.height, part.width)
            same_part = file.tags().get(_IDENTITY) == part.identity(file.count)
            if not (same_shape and same_part and set(file.dtypes) == {"uint8"}):
                raise _not_this_part(part)
            yield file
    except _UNREADABLE as error:
        raise _not_this_part(part) from error


def _not_this_part(part: Part) -> PartError:
    return PartError(
        f"{part.path}: this part of a raster is missing, damaged or another run's; "
        "run the command again, it makes the part anew",
        str(part.path),
    )


def _checksum(planes: NDArray[np.uint8]) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(planes).data):08x}"
