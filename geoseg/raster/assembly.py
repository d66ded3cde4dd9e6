"""Parts to one plain raster: each part is read and verified once, from top to bottom.

What is held are the rows of tiles that the parts at hand reach into, so that each tile is written
once, whole, and the time grows with the number of parts alone. Threads read the next parts, and
compress what is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import windows

from geoseg.classes import NODATA
from geoseg.prefetch import shared_out
from geoseg.raster.part import BLOCK, Part, large_profile, read_part
from geoseg.tiling import Window

_HELD_BYTES = 2**28
"""Of rows of tiles. A raster of more, as it is wide and has many bands, is written by columns: some
parts are then read more than once."""
_COUNTED_ROWS = 16
"""Rows whose values are counted at a time, for which each pixel takes 8 bytes."""


def assemble(
    parts: Sequence[Part],
    out: Path,
    area: Window,
    *,
    bands: int,
    fill: int,
    valid: Sequence[Part] = (),
) -> NDArray[np.int64]:
    """Write what parts show of a rectangle as a tiled GeoTIFF without georeferencing.

    Args:
        parts: in any order and size; the last of those that overlap counts.
        out: the file.
        area: what of the parts' raster it shows.
        bands: of each part.
        fill: the value where no part lies.
        valid: parts of the class raster, whose 255 become the file's mask.

    Returns:
        The pixels of each value 0..255 of the first band.

    Raises:
        PartError: a part is missing or damaged, or its file is another part.
        rasterio.errors.RasterioError: the file cannot be written.
    """
    counts = np.zeros(256, np.int64)
    tallest = max((part.height for part in parts), default=1)
    across = held_columns(bands, tallest)
    with rasterio.open(out, "w", **large_profile(bands, area.height, area.width)) as file:
        for col in range(area.col, area.col_end, across):
            width = min(across, area.col_end - col)
            strip = Window(area.row, col, area.height, width)
            counts += _write_strip(file, parts, strip, area, bands=bands, fill=fill, valid=valid)
    return counts


def held_columns(bands: int, tallest: int) -> int:
    """Columns that are assembled together: what is held of them stays within 256 MiB.

    Args:
        bands: of the raster.
        tallest: rows of a part at most.
    """
    return max(1, _HELD_BYTES // (bands * held_rows(tallest) * BLOCK)) * BLOCK


def held_rows(tallest: int) -> int:
    """Rows that are held at most: those of all tiles that a part of so many rows reaches into."""
    return (2 + (tallest - 1) // BLOCK) * BLOCK


def _write_strip(
    file: Any,
    parts: Sequence[Part],
    strip: Window,
    area: Window,
    *,
    bands: int,
    fill: int,
    valid: Sequence[Part],
) -> NDArray[np.int64]:
    """Write some columns of a rectangle; the pixels of each value of their first band."""
    counts = np.zeros(256, np.int64)
    with ExitStack() as stack:
        rows_of_tiles = stack.enter_context(closing(_rows_of_tiles(parts, strip, bands, fill)))
        masks = None
        if valid:
            masks = stack.enter_context(closing(_rows_of_tiles(valid, strip, 1, NODATA)))
        row = 0
        for pixels in rows_of_tiles:
            place = windows.Window(strip.col - area.col, row, strip.width, pixels.shape[1])
            for band, plane in enumerate(pixels, start=1):
                file.write(plane, band, window=place)
            if masks is not None:
                file.write_mask(next(masks)[0] != NODATA, window=place)
            for first in range(0, pixels.shape[1], _COUNTED_ROWS):
                rows = pixels[0, first : first + _COUNTED_ROWS]
                counts += np.bincount(rows.ravel(), minlength=256)
            row += pixels.shape[1]
    return counts


def read_window(
    parts: Sequence[Part], window: Window, fill: int, *, margin: int = 0
) -> NDArray[np.uint8]:
    """``(height, width)`` uint8: what parts show of a window in their first band.

    Args:
        parts: in any order; the last of those that overlap counts.
        window: in pixels of the parts' raster.
        fill: the value where no part lies.
        margin: pixels around the window that are read too, also beyond the raster.

    Raises:
        PartError: a part is missing or damaged, or its file is another part.
    """
    pixels = np.full((window.height + 2 * margin, window.width + 2 * margin), fill, np.uint8)
    row, col = max(0, window.row - margin), max(0, window.col - margin)
    around = Window(row, col, window.row_end + margin - row, window.col_end + margin - col)
    for part in parts:
        seen = Window(part.row, part.col, part.height, part.width).intersect(around)
        if seen is not None:
            target = seen.slices(window.row - margin, window.col - margin)
            pixels[target] = read_part(part)[0][seen.slices(part.row, part.col)]
    return pixels


def _rows_of_tiles(
    parts: Sequence[Part], area: Window, bands: int, fill: int
) -> Generator[NDArray[np.uint8]]:
    """``(bands, height, width)`` uint8: the rectangle's rows of tiles; the last may be lower."""
    held: deque[NDArray[np.uint8]] = deque()
    top = area.row

    def next_row() -> NDArray[np.uint8]:
        pixels = held.popleft() if held else _empty_row(area, bands, fill)
        return pixels[:, : area.row_end - top]

    shown = [
        (part, seen)
        for part in sorted(parts, key=lambda part: part.row)
        if (seen := Window(part.row, part.col, part.height, part.width).intersect(area))
    ]
    largest = max((part.height * part.width for part, _ in shown), default=1)
    with closing(shared_out(read_part, [part for part, _ in shown], bands * largest)) as read:
        for (part, seen), pixels in zip(shown, read, strict=True):
            while top + BLOCK <= seen.row:
                yield next_row()
                top += BLOCK
            while top + BLOCK * len(held) < seen.row_end:
                held.append(_empty_row(area, bands, fill))
            _place(pixels, part, seen, held, top, area.col)
    while top < area.row_end:
        yield next_row()
        top += BLOCK


def _empty_row(area: Window, bands: int, fill: int) -> NDArray[np.uint8]:
    return np.full((bands, BLOCK, area.width), fill, np.uint8)


def _place(
    pixels: NDArray[np.uint8],
    part: Part,
    seen: Window,
    held: Sequence[NDArray[np.uint8]],
    top: int,
    left: int,
) -> None:
    """Copy what is seen of a part into the rows of tiles that begin at (`top`, `left`)."""
    for index, tiles in enumerate(held):
        first = top + BLOCK * index
        common = Window(first, seen.col, BLOCK, seen.width).intersect(seen)
        if common is not None:
            source, target = common.slices(part.row, part.col), common.slices(first, left)
            tiles[(slice(None), *target)] = pixels[(slice(None), *source)]
