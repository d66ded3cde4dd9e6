"""What a run will take, before it begins."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from geoseg.inference.engine import GDAL_CACHE
from geoseg.inference.predictor import Predictor
from geoseg.raster import Source
from geoseg.tiling import Block, TileGrid

CLASS_BYTES_PER_PIXEL = 0.15
"""Bytes a pixel of a compressed class raster with overviews usually takes; noisy classes take more."""


@dataclass(frozen=True, slots=True)
class RasterPlan:
    """Windows, memory, time and output size of one raster."""

    pixels: int
    windows: int
    """Windows of the lattice; those without a valid pixel will not be run."""
    forwards: int
    """Windows that the blocks run at most; more than `windows` where blocks share some."""
    window_pixels: int
    """Pixels of one window."""
    blocks: int
    memory: int
    """Bytes that the run adds to a process at its peak: accumulator, strips, bands, GDAL's cache."""
    output: int
    """Bytes of the class raster, roughly."""

    @classmethod
    def of(cls, blocks: list[Block], source: Source, classes: int, probabilities: bool) -> RasterPlan:
        """The plan of running `blocks` over a raster."""
        grid = blocks[0].grid
        pixels = grid.height * grid.width
        depth = len(source.bands) * np.dtype(source.dtype).itemsize
        return cls(
            pixels=pixels,
            windows=len(grid),
            forwards=sum(len(block.lattice_rows) * len(block.lattice_cols) for block in blocks),
            window_pixels=grid.window**2,
            blocks=len(blocks),
            memory=max(_block_bytes(block, classes, depth, probabilities) for block in blocks),
            output=int(pixels * CLASS_BYTES_PER_PIXEL),
        )

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

    def figures(self, probe: Probe) -> dict[str, float]:
        """The plan for the report."""
        return {
            "pixels": self.pixels,
            "windows": self.windows,
            "forwards": self.forwards,
            "forwards_per_window": round(self.forwards / self.windows, 4),
            "blocks": self.blocks,
            "peak_memory_bytes": probe.peak_bytes + self.memory,
            "seconds": round(self.forwards * probe.seconds, 1),
            "output_bytes": self.output,
        }

    def lines(self, rasters: int, probe: Probe) -> list[str]:
        """The plan for a person."""
        per_pixel = self.forwards * self.window_pixels / self.pixels
        return [
            f"plan: {rasters} raster{'s' if rasters > 1 else ''}, {self.pixels / 1e6:.1f} Mpx, "
            f"{self.windows} windows in {self.blocks} block{'s' if self.blocks > 1 else ''}, "
            f"{self.forwards} forwards at most ({per_pixel:.2f} per pixel)",
            f"      about {_duration(self.forwards * probe.seconds)}, "
            f"{(probe.peak_bytes + self.memory) / 2**30:.1f} GiB of memory, "
            f"{self.output / 1e6:.1f} MB of class rasters",
        ]


@dataclass(frozen=True, slots=True)
class Probe:
    """What one window takes on this machine."""

    seconds: float
    peak_bytes: int
    """The process's peak so far, one forward included."""

    @classmethod
    def of(cls, predictor: Predictor, grid: TileGrid, *, bands: int, dtype: str) -> Probe:
        """Run one window of zeros, which also warms the network up."""
        pixels = np.zeros((predictor.batch, bands, grid.window, grid.window), dtype)
        valid = np.ones((predictor.batch, grid.window, grid.window), np.bool_)
        started = time.perf_counter()
        predictor.probabilities(pixels, valid)
        return cls((time.perf_counter() - started) / predictor.batch, peak_memory())


def peak_memory() -> int:
    """Bytes that this process has held at most."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        # Linux keeps a process's ru_maxrss across exec, so that it may be its parent's; VmHWM is its own.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _block_bytes(block: Block, classes: int, depth: int, probabilities: bool) -> int:
    grid, cols = block.grid, block.lattice_cols
    rows = min(grid.window, grid.height)
    reach = grid.col_starts[cols[-1]] - grid.col_starts[cols[0]] + min(grid.window, grid.width)
    accumulator = classes * rows * block.area.width * 4
    strips = 3 * rows * reach * (depth + 1)  # two buffers, and what is being read
    band = max(band.height for _, band in block.bands()) * block.area.width
    finished = 3 * band * (2 + (classes if probabilities else 0))  # decided, waiting, being written
    return accumulator + strips + finished + GDAL_CACHE


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
