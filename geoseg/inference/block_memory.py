"""Memory of a block, by formulas."""

from __future__ import annotations

import numpy as np

from geoseg.raster import GDAL_CACHE_BYTES, Source
from geoseg.tiling import Block


def block_bytes(block: Block, classes: int, source: Source, probabilities: bool) -> int:
    """Bytes that a block holds at its peak: what `stream_block` and its writer allocate."""
    grid, rows = block.grid, min(block.grid.window, block.grid.height)
    band = block.tallest_band * block.area.width
    band_bytes = 2 + (classes if probabilities else 0)  # labels, confidence, probabilities: uint8

    accumulator = 4 * classes * rows * block.area.width  # float32 sums
    if grid.stitch == "crop":
        accumulator = band * band_bytes  # what is decided already
    pixel_bytes = len(source.bands) * np.dtype(source.dtype).itemsize
    # The strip, float32, with its mask here and on the device; rows that come, and the next ones.
    pixels = _strip_pixels(block)
    strips = pixels * (4 * len(source.bands) + 2) + 2 * pixels * (pixel_bytes + 1)
    if source.area is not None:
        strips += 3 * pixels  # which pixels lie inside
    masks = 2 * mapped_pixels(block)  # of the maps, here and on the device
    finished = 3 * band * band_bytes  # just classified, being written, encoded
    read = source.read_cost.working_bytes + GDAL_CACHE_BYTES
    return accumulator + strips + masks + finished + read


def device_bytes(block: Block, classes: int, bands: int) -> int:
    """Of `block_bytes`, those that lie on the device; the maps that windows share are not counted.

    They are the accumulator, the strip of normalized pixels, and the mask of each.
    """
    rows = min(block.grid.window, block.grid.height)
    accumulator = 4 * classes * rows * block.area.width
    return accumulator + _strip_pixels(block) * (4 * bands + 1) + mapped_pixels(block)


def mapped_pixels(block: Block) -> int:
    """Pixels of which a block holds the maps that its windows share; 0: they share nothing."""
    grid = block.grid
    if grid.cells is None:
        return 0
    return min(grid.window + grid.cells.size, grid.height) * _reach(block)


def _strip_pixels(block: Block) -> int:
    """Pixels of the strip that windows, or the cells below them, are cut from."""
    grid = block.grid
    if grid.cells is None:
        return min(grid.window, grid.height) * _reach(block)
    first = grid.window_at(0, block.lattice_cols[0])
    last = grid.window_at(0, block.lattice_cols[-1])
    columns = grid.cells.covering(first.col, last.col_end)
    left, _ = grid.cells.seen(columns[0], grid.width)
    _, right = grid.cells.seen(columns[-1], grid.width)
    return min(grid.cells.size + 2 * grid.cells.halo, grid.height) * (right - left)


def _reach(block: Block) -> int:
    """Pixels across that the windows of a block see: they reach beyond its sides."""
    grid, cols = block.grid, block.lattice_cols
    return grid.col_starts[cols[-1]] - grid.col_starts[cols[0]] + min(grid.window, grid.width)
