"""What a run will take, estimated before it starts from one measured forward and formulas."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from geoseg.classes import NODATA
from geoseg.errors import SourceError
from geoseg.raster import GDAL_CACHE_BYTES, Source
from geoseg.report import counted
from geoseg.tiling import Block
from geoseg.vector.components import find_components

if TYPE_CHECKING:
    from geoseg.inference.predictor import Predictor

CLASS_BYTES_PER_PIXEL = 0.15
"""Bytes a pixel of a compressed class raster with overviews usually takes; noise takes more."""
HEAP_BYTES = 32 * 2**20
"""What running blocks takes besides arrays (measured by ``python -m tests.benchmarks plan``)."""
LIBRARIES_BYTES = 96 * 2**20
"""Likewise of writing files: the libraries that draw and write polygons are loaded then."""
KEPT_SHARE = 0.4
"""Of a block's arrays: what the heap keeps of them while files are written."""
PROBABILITIES_BYTES = 96 * 2**20
"""What writing the probabilities takes more."""
PART_BYTES_PER_PIXEL = 24
"""Of a part that is polygonized."""
REGION_BYTES = 1100
"""Of a polygon on its way into a file."""
PREVIEW_ROWS = 512
"""Rows that are read at once for the preview."""
PLANE_SECONDS_PER_PIXEL = 4.5e-8
"""For one plane of a raster: its overviews, its COG."""
PART_SECONDS_PER_PIXEL = 5e-8
"""For finding polygons, of which each takes `REGION_SECONDS` more."""
REGION_SECONDS = 3.5e-5
PREVIEW_SECONDS = 1.5
LEAST_BYTES_PER_PIXEL = 0.01
"""What it takes at least, if it shows anything: a disk without this much room is refused."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one window takes on this machine."""

    seconds: float
    peak_bytes: int
    """The process's peak so far, one forward included."""
    regions_per_pixel: float = 0.0
    """How finely its classes are mixed, which decides how many polygons there will be."""


def probe_forward(predictor: Predictor, source: Source, window: int) -> Probe:
    """Time and memory of a forward of the window in the raster's middle, and its regions.

    The first times also choose kernels and allocate; of two or more, as many as 1.5 seconds have
    room for, the fastest counts.
    """
    height, width = min(window, source.height), min(window, source.width)
    pixels = np.zeros((predictor.batch, len(source.bands), window, window), source.dtype)
    valid = np.zeros((predictor.batch, window, window), np.bool_)
    # Damaged pixels fail the raster in its own run; here zeros do for them.
    with suppress(SourceError), source.open() as reader:
        place = ((source.height - height) // 2, (source.width - width) // 2, height, width)
        pixels[:, :, :height, :width], valid[:, :height, :width] = reader.read(*place)
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds[1:]) < 1.5 and len(seconds) < 20):
        started = time.perf_counter()
        probabilities = predictor.probabilities(pixels, valid)
        seconds.append(time.perf_counter() - started)
    labels = probabilities[0, :, :height, :width].argmax(0).astype(np.uint8)
    labels[~valid[0, :height, :width]] = NODATA
    regions = find_components(labels, None).class_id.size
    return Probe(min(seconds[1:]) / predictor.batch, peak_memory(), regions / labels.size)


def peak_memory() -> int:
    """Peak memory of this process, bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux ru_maxrss survives exec, so it may be the parent's; VmHWM is the process's own.
        fields = dict(
            line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines()
        )
        return int(fields["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


@dataclass(frozen=True, slots=True)
class RasterPlan:
    """Windows, memory, time and output size of one raster."""

    pixels: int
    windows: int
    """Windows of the lattice; those without a valid pixel will not be run."""
    forwards: int
    """Windows that are left to run at most: blocks may share some, a resumed run has done some."""
    window_pixels: int
    """Pixels of one window."""
    blocks: int
    memory: int
    """Bytes that the run adds to a process: accumulator, strips, bands, GDAL's cache."""
    output: int
    """Bytes of the class raster, roughly."""
    drawing: int = 0
    """Bytes that the preview holds while it is read."""
    polygonized: int = 0
    """Pixels of the parts that are polygonized at once; 0 without polygons."""
    planes: int = 1
    """Planes of all rasters that are written."""
    decoded: int = 0
    """Bytes that GDAL decodes at once of the source: a whole strip or tile."""

    @classmethod
    def from_blocks(
        cls,
        blocks: Sequence[Block],
        source: Source,
        classes: int,
        probabilities: bool,
        *,
        forwards: int,
        confidence: bool = False,
        polygon_threads: int = 0,
    ) -> RasterPlan:
        """The plan of running `forwards` windows, cut into `blocks`, over a raster.

        Args:
            blocks: of the raster.
            source: the raster.
            classes: number of classes.
            probabilities: they are written too.
            forwards: windows that are left to run.
            confidence: it is written too.
            polygon_threads: parts that are polygonized at once; 0: no polygons are written.
        """
        grid = blocks[0].grid
        pixels = grid.height * grid.width
        pixel_bytes = len(source.bands) * np.dtype(source.dtype).itemsize
        return cls(
            pixels=pixels,
            windows=len(grid),
            forwards=forwards,
            window_pixels=grid.window**2,
            blocks=len(blocks),
            # Blocks run one after the other, so the largest decides.
            memory=max(
                _block_bytes(block, classes, pixel_bytes, probabilities) for block in blocks
            ),
            output=int(pixels * CLASS_BYTES_PER_PIXEL),
            drawing=min(PREVIEW_ROWS, grid.height) * grid.width * (pixel_bytes + 1),
            polygonized=min(
                pixels,
                polygon_threads * max(block.tallest_band * block.area.width for block in blocks),
            ),
            planes=1 + confidence + probabilities * classes,
            decoded=source.block_bytes,
        )

    @property
    def least_output(self) -> int:
        """Bytes that the class raster will surely take."""
        return int(self.pixels * LEAST_BYTES_PER_PIXEL)

    @classmethod
    def total(cls, plans: Sequence[RasterPlan]) -> RasterPlan:
        """The plan of several rasters, one after the other."""
        return cls(
            pixels=sum(plan.pixels for plan in plans),
            windows=sum(plan.windows for plan in plans),
            forwards=sum(plan.forwards for plan in plans),
            window_pixels=plans[0].window_pixels,
            blocks=sum(plan.blocks for plan in plans),
            memory=max(plan.memory for plan in plans),
            output=sum(plan.output for plan in plans),
            drawing=max(plan.drawing for plan in plans),
            polygonized=max(plan.polygonized for plan in plans),
            planes=max(plan.planes for plan in plans),
            decoded=max(plan.decoded for plan in plans),
        )

    def peak(self, probe: Probe, workers: int) -> int:
        """Bytes that all processes will hold; each worker loads torch and the model too."""
        regions = probe.regions_per_pixel * REGION_BYTES
        polygons = int(self.polygonized * (PART_BYTES_PER_PIXEL + regions))
        files = GDAL_CACHE_BYTES + LIBRARIES_BYTES + max(polygons, self.drawing)
        if self.planes > 2:  # classes, confidence and more
            files += PROBABILITIES_BYTES
        blocks = self.memory + self.decoded + HEAP_BYTES
        if not workers:  # one after the other, in one process
            kept = self.decoded + int(KEPT_SHARE * max(0, self.memory - GDAL_CACHE_BYTES))
            return probe.peak_bytes + max(blocks, files + kept)
        return probe.peak_bytes + files + workers * (probe.peak_bytes + blocks)

    def seconds(self, probe: Probe, workers: int, rasters: int = 1) -> float:
        """Seconds that forwards, rasters, polygons and previews will take."""
        files = self.pixels * self.planes * PLANE_SECONDS_PER_PIXEL + rasters * PREVIEW_SECONDS
        if self.polygonized:
            regions = probe.regions_per_pixel * REGION_SECONDS
            files += self.pixels * (PART_SECONDS_PER_PIXEL + regions)
        return self.forwards * probe.seconds / max(1, workers) + files

    def to_json(self, probe: Probe, workers: int, rasters: int = 1) -> dict[str, float]:
        """The plan for the report."""
        return {
            "pixels": self.pixels,
            "windows": self.windows,
            "forwards": self.forwards,
            "forwards_per_window": round(self.forwards / self.windows, 4),
            "blocks": self.blocks,
            "peak_memory_bytes": self.peak(probe, workers),
            "seconds": round(self.seconds(probe, workers, rasters), 1),
            "output_bytes": self.output,
        }

    def lines(self, rasters: int, probe: Probe, workers: int) -> list[str]:
        """The plan in two lines, for people."""
        per_pixel = self.forwards * self.window_pixels / self.pixels
        return [
            f"plan: {counted(rasters, 'raster')}, {self.pixels / 1e6:.1f} Mpx, "
            f"{self.windows} windows in {counted(self.blocks, 'block')}, "
            f"{self.forwards} forwards at most ({per_pixel:.2f} per pixel)",
            f"      about {_duration(self.seconds(probe, workers, rasters))}, "
            f"{self.peak(probe, workers) / 2**30:.1f} GiB of memory, "
            f"{self.output / 1e6:.1f} MB of class rasters",
        ]


def _block_bytes(block: Block, classes: int, pixel_bytes: int, probabilities: bool) -> int:
    """Bytes that a block holds at its peak: what `stream_block` and its writer allocate."""
    grid, cols = block.grid, block.lattice_cols
    rows = min(grid.window, grid.height)
    # Windows of a block reach beyond its sides; a strip holds all that they see.
    reach = grid.col_starts[cols[-1]] - grid.col_starts[cols[0]] + min(grid.window, grid.width)
    band = block.tallest_band * block.area.width

    accumulator = 4 * classes * rows * block.area.width  # float32 sums
    strips = 3 * rows * reach * (pixel_bytes + 1)  # two buffers and what is being read, with masks
    band_bytes = 2 + (classes if probabilities else 0)  # labels, confidence, probabilities: uint8
    finished = 3 * band * band_bytes  # just classified, being written, encoded
    return accumulator + strips + finished + GDAL_CACHE_BYTES


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
