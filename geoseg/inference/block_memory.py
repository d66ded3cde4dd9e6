"""Memory of a block, by formulas."""

from __future__ import annotations

import numpy as np

from geoseg.raster import GDAL_CACHE_BYTES, Source
from geoseg.tiling import Block


def block_bytes(block: Block, classes: int, source: Source, probabilities: bool) -> int:
    """Bytes that a block holds at its peak: what `stream_block` and its writer allocate."""
    grid, cols = block.grid, block.lattice_cols
    rows = min(grid.window, grid.height)
    # Windows of a block reach beyond its sides; a strip holds all that they see.
    reach = grid.col_starts[cols[-1]] - grid.col_starts[cols[0]] + min(grid.window, grid.width)
    band = block.tallest_band * block.area.width
    band_bytes = 2 + (classes if probabilities else 0)  # labels, confidence, probabilities: uint8

    accumulator = 4 * classes * rows * block.area.width  # float32 sums
    if grid.stitch == "crop":
        accumulator = band * band_bytes  # what is decided already
    pixel_bytes = len(source.bands) * np.dtype(source.dtype).itemsize
    # The strip, float32, with its mask here and on the device; rows that come, and the next ones.
    masks = 0
    if grid.cells is not None:
        masks = 2 * mapped_pixels(block)  # of the maps, here and on the device
        seen = grid.cells.size + 2 * grid.cells.halo
        rows, reach = min(seen, grid.height), min(reach + 2 * seen, grid.width)
    strips = rows * reach * (4 * len(source.bands) + 2) + 2 * rows * reach * (pixel_bytes + 1)
    if source.area is not None:
        strips += 3 * rows * reach  # which pixels lie inside
    finished = 3 * band * band_bytes  # just classified, being written, encoded
    read = source.read_cost.working_bytes + GDAL_CACHE_BYTES
    return accumulator + strips + masks + finished + read


def device_bytes(block: Block, classes: int, bands: int) -> int:
    """Of `block_bytes`, those that lie on the device; the maps that windows share are not counted.

    They are the accumulator, the strip of normalized pixels, and the mask of each.
    """
    grid, cols = block.grid, block.lattice_cols
    rows = min(grid.window, grid.height)
    reach = grid.col_starts[cols[-1]] - grid.col_starts[cols[0]] + min(grid.window, grid.width)
    accumulator = 4 * classes * rows * block.area.width
    masks = mapped_pixels(block)
    if grid.cells is not None:
        seen = grid.cells.size + 2 * grid.cells.halo
        rows, reach = min(seen, grid.height), min(reach + 2 * seen, grid.width)
    return accumulator + rows * reach * (4 * bands + 1) + masks


def mapped_pixels(block: Block) -> int:
    """Pixels of which a block holds the maps that its windows share; 0: they share nothing."""
    grid, cols = block.grid, block.lattice_cols
    if grid.cells is None:
        return 0
    reach = grid.col_starts[cols[-1]] - grid.col_starts[cols[0]] + min(grid.window, grid.width)
    return (min(grid.window, grid.height) + grid.cells.size) * reach
