"""What a run will take, before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.inference.memory import GDAL_CACHE, peak_memory
from geoseg.inference.predictor import Predictor
from geoseg.raster import Source
from geoseg.tiling import Block, TileGrid

CLASS_BYTES_PER_PIXEL = 0.15
"""Bytes a pixel of a compressed class raster with overviews usually takes; noisy classes take more."""
LEAST_BYTES_PER_PIXEL = 0.01
"""What it takes at least, where a picture shows anything: a disk without this much room is refused at once."""


@dataclass(frozen=True, slots=True)
class RasterPlan:
    """Windows, memory, time and output size of one raster."""

    pixels: int
    windows: int
    """Windows of the lattice; those without a valid pixel will not be run."""
    forwards: int
    """Windows that are left to run at most; more than `windows` where blocks share some, fewer in a resumed run."""
    window_pixels: int
    """Pixels of one window."""
    blocks: int
    memory: int
    """Bytes that the run adds to a process at its peak: accumulator, strips, bands, GDAL's cache."""
    output: int
    """Bytes of the class raster, roughly."""

    @classmethod
    def of(
        cls,
        blocks: list[Block],
        source: Source,
        classes: int,
        probabilities: bool,
        *,
        forwards: int,
    ) -> RasterPlan:
        """The plan of running `forwards` windows, cut into `blocks`, over a raster."""
        grid = blocks[0].grid
        pixels = grid.height * grid.width
        depth = len(source.bands) * np.dtype(source.dtype).itemsize
        return cls(
            pixels=pixels,
            windows=len(grid),
            forwards=forwards,
            window_pixels=grid.window**2,
            blocks=len(blocks),
            memory=max(_block_bytes(block, classes, depth, probabilities) for block in blocks),
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
        """Bytes that all processes will hold at their peaks."""
        return probe.peak_bytes + (
            self.memory if not workers else workers * (probe.peak_bytes + self.memory)
        )

    def figures(self, probe: Probe, workers: int) -> dict[str, float]:
        """The plan for the report."""
        return {
            "pixels": self.pixels,
            "windows": self.windows,
            "forwards": self.forwards,
            "forwards_per_window": round(self.forwards / self.windows, 4),
            "blocks": self.blocks,
            "peak_memory_bytes": self.peak(probe, workers),
            "seconds": round(self.forwards * probe.seconds / max(1, workers), 1),
            "output_bytes": self.output,
        }

    def lines(self, rasters: int, probe: Probe, workers: int) -> list[str]:
        """The plan for a person."""
        per_pixel = self.forwards * self.window_pixels / self.pixels
        return [
            f"plan: {rasters} raster{'s' if rasters > 1 else ''}, {self.pixels / 1e6:.1f} Mpx, "
            f"{self.windows} windows in {self.blocks} block{'s' if self.blocks > 1 else ''}, "
            f"{self.forwards} forwards at most ({per_pixel:.2f} per pixel)",
            f"      about {_duration(self.forwards * probe.seconds / max(1, workers))}, "
            f"{self.peak(probe, workers) / 2**30:.1f} GiB of memory, "
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
        """Run a window of zeros twice and time the second: the first also chooses kernels and takes its memory."""
        pixels = np.zeros((predictor.batch, bands, grid.window, grid.window), dtype)
        valid = np.ones((predictor.batch, grid.window, grid.window), np.bool_)
        predictor.probabilities(pixels, valid)
        started = time.perf_counter()
        predictor.probabilities(pixels, valid)
        return cls((time.perf_counter() - started) / predictor.batch, peak_memory())


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
