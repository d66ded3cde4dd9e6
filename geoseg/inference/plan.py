"""What a run will take, estimated before it starts from one measured forward and formulas."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.errors import OutputError
from geoseg.inference.areas import area_tree, cell_tree
from geoseg.inference.block_memory import block_bytes, mapped_pixels
from geoseg.inference.probe import Probe
from geoseg.places import AnyPath
from geoseg.raster import GDAL_CACHE_BYTES, Source
from geoseg.report import counted
from geoseg.stores import StorePath
from geoseg.tiling import Block

# Bytes as `python -m tests.benchmarks plan` measures them.
CLASS_BYTES_PER_PIXEL = 0.15
"""Bytes a pixel of a compressed class raster with overviews usually takes; noise takes more."""
HEAP_BYTES = 32 * 2**20
"""What running blocks takes besides arrays."""
LIBRARIES_BYTES = 128 * 2**20
"""Likewise of writing files: the libraries that draw and write polygons are loaded then."""
KEPT_SHARE = 0.4
"""Of a block's arrays: what the heap keeps of them while files are written."""
SPREAD_BYTES = 96 * 2**20
"""What writing confidence and probabilities takes more."""
PART_BYTES_PER_PIXEL = 24
"""Of a part that is polygonized."""
REGION_BYTES = 190
"""Of a polygon of such a part, and of each of its corners."""
CORNER_BYTES = 75
WRITTEN_CORNER_BYTES = 33
"""What the heap keeps of each corner of all polygons that a task has written."""
PREVIEW_ROWS = 512
"""Rows that are read at once for the preview."""
ASSEMBLED_ROWS = 2048
"""Of a raster, held besides a part while its parts are assembled: four rows of tiles."""

# CPU times, which the probe's `slowness` brings to this machine and its load.
START_SECONDS = 0.5
"""For the libraries that are loaded later."""
RASTER_SECONDS = 0.3
"""For a raster of any size: its files and its preview."""
WORKER_SECONDS = 3.0
"""For a worker process: it loads torch."""
PLANE_SECONDS_PER_PIXEL = 1.6e-8
"""For one plane of a raster: its overviews, its COG, its counts."""
DEFLATE_SHARE = 0.65
"""GDAL deflates faster than zlib, which the probe measures, but the overviews too."""
PART_SECONDS_PER_PIXEL = 1e-8
"""For finding polygons, and for each of them and each of their corners."""
REGION_SECONDS = 5e-6
CORNER_SECONDS = 1.6e-6
LEAST_BYTES_PER_PIXEL = 0.01
"""What it takes at least, if it shows anything: a disk without this much room is refused."""


@dataclass(frozen=True, slots=True)
class RasterPlan:
    """Windows, memory, time and output size of one raster."""

    pixels: int
    windows: int
    """Windows of the lattice; those without a valid pixel will not be run."""
    forwards: int
    """Windows that are left to run at most: blocks may share some, a resumed run has done some."""
    window_pixels: int
    """Pixels of one window; of several rasters, of the largest."""
    blocks: int
    memory: int
    """Bytes that the run adds to a process: accumulator, strips, bands, GDAL's cache."""
    output: int
    """Bytes of the class raster, roughly."""
    cells: int = 0
    """Cells that are left to encode at most; 0: windows share nothing."""
    mapped: int = 0
    """Pixels of which a block holds the maps that its windows share."""
    drawing: int = 0
    """Bytes that the preview holds while it is read."""
    polygonized: int = 0
    """Pixels of the parts whose polygons a task holds at once; 0 without polygons."""
    written: int = 0
    """Pixels whose polygons a task writes."""
    areas: int = 1
    """Tasks among which the parts are shared out for polygons."""
    assembled: int = 0
    """Bytes that are held while parts become rasters."""
    planes: int = 1
    """Planes of all rasters that are written."""
    decoded: int = 0
    """Bytes that GDAL decodes at once of the source: a whole strip or tile."""
    threads: int = 1
    """Files that one process makes at once."""

    @classmethod
    def from_blocks(
        cls,
        blocks: Sequence[Block],
        source: Source,
        classes: int,
        probabilities: bool,
        *,
        forwards: int,
        cells: int = 0,
        confidence: bool = False,
        polygon_threads: int = 0,
        side: int = 0,
        cell: int = 0,
    ) -> RasterPlan:
        """The plan of running `forwards` windows, cut into `blocks`, over a raster.

        Args:
            blocks: of the raster.
            source: the raster.
            classes: number of classes.
            probabilities: they are written too.
            forwards: windows that are left to run.
            cells: that are left to encode.
            confidence: it is written too.
            polygon_threads: parts that are polygonized at once; 0: no polygons are written.
            side: of the squares that rasters are cut into; 0: each is one file.
            cell: side of the cells in which polygons are made; 0: they are made part by part.
        """
        grid = blocks[0].grid
        shown = source.extent
        pixels = shown.height * shown.width
        window_pixels = min(grid.window, grid.height) * min(grid.window, grid.width)
        largest_part = max(block.tallest_band * block.area.width for block in blocks)
        tree = cell_tree(source.extent, cell) if cell else area_tree(blocks)
        areas = tree[0] if polygon_threads else []
        # Those that are made meanwhile, and one that is joined.
        held_parts = polygon_threads + 1 if len(areas) == 1 else 2 * bool(areas)
        if cell:  # one at a time
            held_parts, largest_part = int(bool(areas)), cell**2
        pixel_bytes = len(source.bands) * np.dtype(source.dtype).itemsize
        planes = 1 + confidence + probabilities * classes
        at_once = max(1, polygon_threads) * max(1, probabilities * classes) if side else planes
        tallest_part = max(block.tallest_band for block in blocks)
        held_rows = min(shown.height, tallest_part + ASSEMBLED_ROWS)
        return cls(
            pixels=pixels,
            windows=len(grid),
            forwards=forwards,
            cells=cells,
            mapped=max(map(mapped_pixels, blocks)),
            window_pixels=window_pixels,
            blocks=len(blocks),
            # Blocks run one after the other, so the largest decides.
            memory=max(block_bytes(block, classes, source, probabilities) for block in blocks),
            output=int(pixels * CLASS_BYTES_PER_PIXEL),
            drawing=min(PREVIEW_ROWS, shown.height) * shown.width * (pixel_bytes + 1),
            polygonized=min(pixels, held_parts * largest_part),
            written=max((area.height * area.width for area in areas), default=0),
            areas=max(1, len(areas)),
            assembled=at_once * held_rows * min(shown.width, side or shown.width),
            planes=planes,
            decoded=source.block_bytes,
            threads=max(1, polygon_threads),
        )

    @property
    def least_output(self) -> int:
        """Bytes that the class raster will surely take."""
        return int(self.pixels * LEAST_BYTES_PER_PIXEL)

    @classmethod
    def total(cls, plans: Sequence[RasterPlan]) -> RasterPlan:
        """The plan of several rasters: of one run."""
        return cls(
            pixels=sum(plan.pixels for plan in plans),
            windows=sum(plan.windows for plan in plans),
            forwards=sum(plan.forwards for plan in plans),
            cells=sum(plan.cells for plan in plans),
            mapped=max(plan.mapped for plan in plans),
            window_pixels=max(plan.window_pixels for plan in plans),
            blocks=sum(plan.blocks for plan in plans),
            memory=max(plan.memory for plan in plans),
            output=sum(plan.output for plan in plans),
            drawing=max(plan.drawing for plan in plans),
            polygonized=max(plan.polygonized for plan in plans),
            written=max(plan.written for plan in plans),
            areas=sum(plan.areas for plan in plans),
            assembled=max(plan.assembled for plan in plans),
            planes=max(plan.planes for plan in plans),
            decoded=max(plan.decoded for plan in plans),
            threads=plans[0].threads,
        )

    def peak(self, probe: Probe, workers: int, rasters: int = 1) -> int:
        """Bytes that all processes will hold; each worker loads torch and the model too."""
        polygons = int(self.polygonized * _polygon_cost(probe, REGION_BYTES, CORNER_BYTES))
        polygons += self.polygonized * PART_BYTES_PER_PIXEL
        polygons += int(self.written * probe.corners_per_pixel * WRITTEN_CORNER_BYTES)
        at_once = 1 if workers else min(self.threads, self.areas)
        memory = self.memory + int(self.mapped * probe.map_bytes)
        blocks = memory + self.decoded + HEAP_BYTES
        kept = self.decoded + int(KEPT_SHARE * max(0, memory - GDAL_CACHE_BYTES))
        files = LIBRARIES_BYTES + SPREAD_BYTES * (self.planes > 1)
        drawn = max(at_once * polygons + self.assembled, self.drawing)
        one_by_one = max(blocks, GDAL_CACHE_BYTES + files + drawn + kept)
        if workers:
            return probe.peak_bytes + workers * (probe.peak_bytes + one_by_one)
        if rasters == 1:
            return probe.peak_bytes + one_by_one
        # The files of some rasters are made while the network runs for the next.
        made = at_once * polygons + self.assembled
        drawn = max(made, min(rasters, self.threads) * self.drawing)
        return probe.peak_bytes + blocks + files + drawn

    def seconds(self, probe: Probe, workers: int, rasters: int = 1) -> float:
        """Seconds that forwards, rasters, polygons and previews will take."""
        plane = PLANE_SECONDS_PER_PIXEL + DEFLATE_SHARE * probe.deflate_seconds
        starts = (START_SECONDS + WORKER_SECONDS * workers) * probe.slowness
        files = RASTER_SECONDS * rasters + self.pixels * self.planes * plane
        if self.polygonized:
            polygons = _polygon_cost(probe, REGION_SECONDS, CORNER_SECONDS)
            files += self.pixels * (PART_SECONDS_PER_PIXEL + polygons)
        processes = max(1, min(workers, probe.at_once))
        together = min(rasters, processes if workers else self.threads)
        network = self.forwards * probe.seconds + self.cells * probe.cell_seconds
        return network / processes + starts + files * probe.slowness / together

    def refuse_full_disk(self, out: AnyPath) -> None:
        """Refuse a folder whose disk surely has not the room; of a bucket nobody knows it.

        Raises:
            OutputError: the disk has less room.
        """
        if isinstance(out, StorePath):
            return
        existing = next(path for path in (out, *out.absolute().parents) if path.is_dir())
        free = shutil.disk_usage(existing).free
        if free < self.least_output:
            raise OutputError(
                f"{out} has {free / 1e6:.0f} MB free, the outputs take about "
                f"{self.output / 1e6:.0f} MB; free the disk or choose another --out"
            )

    def to_json(self, probe: Probe, workers: int, rasters: int = 1) -> dict[str, float | str]:
        """The plan for the report."""
        return {
            "pixels": self.pixels,
            "windows": self.windows,
            "forwards": self.forwards,
            "forwards_per_window": round(self.forwards / self.windows, 4),
            "cells": self.cells,
            "blocks": self.blocks,
            "peak_memory_bytes": self.peak(probe, workers, rasters),
            "seconds": round(self.seconds(probe, workers, rasters), 1),
            "output_bytes": self.output,
            "rate": f"measured {probe.kept_since}" if probe.kept_since else "measured now",
        }

    def lines(self, rasters: int, probe: Probe, workers: int) -> list[str]:
        """The plan in two lines, for people."""
        per_pixel = self.forwards * self.window_pixels / self.pixels
        return [
            f"plan: {counted(rasters, 'raster')}, {self.pixels / 1e6:.1f} Mpx, "
            f"{self.windows} windows in {counted(self.blocks, 'block')}, "
            f"{self.forwards} forwards at most ({per_pixel:.2f} per pixel)"
            + (f" of {counted(self.cells, 'cell')}" if self.cells else ""),
            f"      about {_duration(self.seconds(probe, workers, rasters))}, "
            f"{self.peak(probe, workers, rasters) / 2**30:.1f} GiB of memory, "
            f"{self.output / 1e6:.1f} MB of class rasters"
            + (f" (by a rate measured {probe.kept_since})" if probe.kept_since else ""),
        ]


def _polygon_cost(probe: Probe, region: float, corner: float) -> float:
    """What polygons cost per pixel, given the cost of each and of each of their corners."""
    return probe.regions_per_pixel * region + probe.corners_per_pixel * corner


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
