"""The most memory that a run holds at once, by formulas.

A process holds the libraries and the network. To these come, for a block, one forward and the
block's own arrays; for files, the libraries that write them and what each kind of task holds.
"""

from __future__ import annotations

from geoseg.inference.choice import Choice
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe
from geoseg.raster import GDAL_CACHE_BYTES

# Bytes as `python -m tests.benchmarks plan` measures them.
HEAP_BYTES = 48 * 2**20
"""What running blocks takes besides arrays."""
LIBRARIES_BYTES = 192 * 2**20
"""Likewise of writing files: the libraries that draw and write polygons are loaded then."""
KEPT_SHARE = 0.1
"""Of a block's arrays: what the heap keeps of them while files are written."""
PLANE_BYTES = 2**20
"""Of a plane of the tiles that are compressed at once."""
PART_BYTES_PER_PIXEL = 20
"""Of a part that is polygonized."""
REGION_BYTES = 260
"""Of a polygon of such a part, and of each of its corners."""
CORNER_BYTES = 100
WRITTEN_CORNER_BYTES = 33
"""What the heap keeps of each corner of all polygons that a task has written."""


def peak_of(plan: RasterPlan, probe: Probe, choice: Choice, rasters: int = 1) -> int:
    """Bytes that all processes will hold; each worker loads torch and the model too."""
    blocks = (
        probe.peak_bytes - probe.stitched_bytes + plan.memory + int(plan.mapped * probe.map_bytes)
    )
    blocks += plan.decoded + HEAP_BYTES
    files = LIBRARIES_BYTES + GDAL_CACHE_BYTES + plan.decoded
    made = _of_polygons(plan, probe, min(choice.threads, plan.areas)) + plan.assembled
    made += plan.planes * PLANE_BYTES
    drawn = min(rasters, choice.threads) * plan.drawing
    begun = choice.begun and plan.files_begun
    if choice.workers or not choice.beside or (rasters == 1 and not begun):
        kept = int(KEPT_SHARE * max(0, plan.memory - GDAL_CACHE_BYTES))
        if choice.workers or not choice.beside:
            drawn = plan.drawing
        one_by_one = max(blocks, probe.held_bytes + files + kept + max(made, drawn))
        return probe.peak_bytes * (choice.workers > 0) + max(1, choice.workers) * one_by_one
    # Files are made while the network runs for the next raster, or for the rest of this one.
    return blocks + files + max(made, drawn)


def device_peak_of(plan: RasterPlan, probe: Probe) -> int:
    """Bytes that the blocks of a process hold on a GPU, besides network and forward."""
    return plan.device + int(plan.mapped * probe.map_bytes)


def _of_polygons(plan: RasterPlan, probe: Probe, tasks: int) -> int:
    """Bytes of so many tasks that make polygons, or of those before and after them."""
    pixel = PART_BYTES_PER_PIXEL + probe.polygon_cost(REGION_BYTES, CORNER_BYTES)
    written = plan.written * probe.corners_per_pixel * WRITTEN_CORNER_BYTES
    # A file's index, and before any polygon the graph of what is cleaned, holds all regions.
    made = tasks * (plan.polygonized * pixel + written) + plan.regions * probe.regions_per_pixel
    return int(max(made, plan.cleaned * probe.regions_per_pixel))
