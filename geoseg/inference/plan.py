"""What a run will take, estimated before it starts from one measured forward and formulas."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from geoseg.raster import GDAL_CACHE_BYTES, Source
from geoseg.report import counted
from geoseg.tiling import Block

if TYPE_CHECKING:
    from geoseg.inference.predictor import Predictor

CLASS_BYTES_PER_PIXEL = 0.15
"""Bytes a pixel of a compressed class raster with overviews usually takes; noise takes more."""
LEAST_BYTES_PER_PIXEL = 0.01
"""What it takes at least, if it shows anything: a disk without this much room is refused."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one window takes on this machine."""

    seconds: float
    peak_bytes: int
    """The process's peak so far, one forward included."""


def probe_forward(predictor: Predictor, source: Source, window: int) -> Probe:
    """Time and memory of a forward of zeros as large as the run's own windows.

    It runs twice, and the second run is timed: the first also chooses kernels and allocates.
    """
    pixels = np.zeros((predictor.batch, len(source.bands), window, window), source.dtype)
    valid = np.ones((predictor.batch, window, window), np.bool_)
    predictor.probabilities(pixels, valid)
    started = time.perf_counter()
    predictor.probabilities(pixels, valid)
    return Probe((time.perf_counter() - started) / predictor.batch, peak_memory())


def peak_memory() -> int:
    """Peak memory of this process, bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux ru_maxrss survives exec, so it may be the parent's; VmHWM is the process's own.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
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

    @classmethod
    def from_blocks(
        cls,
        blocks: Sequence[Block],
        source: Source,
        classes: int,
        probabilities: bool,
        *,
        forwards: int,
    ) -> RasterPlan:
        """The plan of running `forwards` windows, cut into `blocks`, over a raster."""
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
        )

    def peak(self, probe: Probe, workers: int) -> int:
        """Bytes that all processes will hold; each worker loads torch and the model too."""
        if not workers:
            return probe.peak_bytes + self.memory
        return probe.peak_bytes + workers * (probe.peak_bytes + self.memory)

    def seconds(self, probe: Probe, workers: int) -> float:
        """Seconds that the forwards will take."""
        return self.forwards * probe.seconds / max(1, workers)

    def to_json(self, probe: Probe, workers: int) -> dict[str, float]:
        """The plan for the report."""
        return {
            "pixels": self.pixels,
            "windows": self.windows,
            "forwards": self.forwards,
            "forwards_per_window": round(self.forwards / self.windows, 4),
            "blocks": self.blocks,
            "peak_memory_bytes": self.peak(probe, workers),
            "seconds": round(self.seconds(probe, workers), 1),
            "output_bytes": self.output,
        }

    def lines(self, rasters: int, probe: Probe, workers: int) -> list[str]:
        """The plan in two lines, for people."""
        per_pixel = self.forwards * self.window_pixels / self.pixels
        return [
            f"plan: {counted(rasters, 'raster')}, {self.pixels / 1e6:.1f} Mpx, "
            f"{self.windows} windows in {counted(self.blocks, 'block')}, "
            f"{self.forwards} forwards at most ({per_pixel:.2f} per pixel)",
            f"      about {_duration(self.seconds(probe, workers))}, "
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
