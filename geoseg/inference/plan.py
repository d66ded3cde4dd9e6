"""What a run will take, estimated before it starts from one measured forward and formulas."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoseg.errors import OutputError
from geoseg.inference.areas import area_tree, cell_tree
from geoseg.inference.block_memory import block_bytes, device_bytes, mapped_pixels
from geoseg.inference.choice import Choice
from geoseg.inference.probe import Probe
from geoseg.places import AnyPath
from geoseg.raster import Source
from geoseg.raster.assembly import held_columns, held_rows
from geoseg.raster.bring_back import brought_back_bytes
from geoseg.report import counted
from geoseg.stores import StorePath
from geoseg.tiling import Block, Window

CLASS_BYTES_PER_PIXEL = 0.15
"""Bytes a pixel of a compressed class raster with overviews usually takes; noise takes more."""
PREVIEW_ROWS = 512
"""Rows that are read at once for the preview."""
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
    """Bytes of the class raster."""
    cells: int = 0
    """Cells that are left to encode at most; 0: windows share nothing."""
    encoded: int = 0
    """Pixels that they see."""
    mapped: int = 0
    """Pixels of which a block holds the maps that its windows share."""
    drawing: int = 0
    """Bytes that the preview holds while it is read."""
    polygonized: int = 0
    """Pixels of the parts whose polygons a task holds at once; 0 without polygons."""
    written: int = 0
    """Pixels whose polygons a task writes."""
    regions: int = 0
    """Of each pixel, the bytes that a region takes while a file is written, summed up."""
    cleaned: int = 0
    """The same while it is decided which regions vanish, before any polygon is made."""
    areas: int = 1
    """Tasks among which the parts are shared out for polygons."""
    assembled: int = 0
    """Bytes that are held while parts become rasters."""
    planes: int = 1
    """Planes of all rasters that are written."""
    device: int = 0
    """Of `memory`, bytes that lie where the network runs."""
    decoded: int = 0
    """Bytes that GDAL decodes at once of the source: a whole strip or tile."""
    files_begun: bool = False
    """Whether files are begun while parts are yet to come."""

    @classmethod
    def from_blocks(
        cls,
        blocks: Sequence[Block],
        source: Source,
        classes: int,
        probabilities: bool,
        *,
        forwards: int,
        cells: Sequence[tuple[int, int]] = (),
        choice: Choice | None = None,
        confidence: bool = False,
        polygons: bool = False,
        region_bytes: tuple[int, int] = (0, 0),
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
            cells: that are left to encode of each block, and the pixels that they see.
            choice: what is in memory at once; None: one thing after the other.
            confidence: it is written too.
            polygons: they are written.
            region_bytes: of each, where all are held: while a file is written, and cleaned.
            side: of the squares that rasters are cut into; 0: each is one file.
            cell: side of the cells in which polygons are made; 0: they are made part by part.
        """
        choice = choice or Choice()
        grid = blocks[0].grid
        shown, target = source.extent, source.target
        pixels = shown.height * shown.width
        window_pixels = min(grid.window, grid.height) * min(grid.window, grid.width)
        largest_part = max(block.tallest_band * block.area.width for block in blocks)
        most = choice.area
        tree = cell_tree(source.extent, cell, most) if cell else area_tree(blocks, most)
        areas = tree[0] if polygons else []
        # Those that are made meanwhile, and one that is joined.
        held_parts = choice.threads + 1 if len(areas) == 1 else 2 * bool(areas)
        if cell:  # one at a time
            held_parts, largest_part = int(bool(areas)), cell**2
        planes = 1 + confidence + probabilities * classes
        kinds = [1] * (1 + confidence) + [classes] * probabilities
        at_once = [max(kinds)] * choice.threads if side else kinds
        made = sum(assembled_bytes(blocks, bands, shown, side) for bands in at_once)
        if source.onto is not None:
            made = max(made, sum(map(brought_back_bytes, at_once)))
        return cls(
            pixels=pixels,
            windows=len(grid),
            forwards=forwards,
            cells=sum(count for count, _ in cells),
            encoded=sum(seen for _, seen in cells),
            mapped=max(map(mapped_pixels, blocks)),
            window_pixels=window_pixels,
            blocks=len(blocks),
            # Blocks run one after the other, so the largest decides.
            memory=max(block_bytes(block, classes, source, probabilities) for block in blocks),
            device=max(device_bytes(block, classes, len(source.bands)) for block in blocks),
            output=int(pixels * CLASS_BYTES_PER_PIXEL),
            drawing=_drawing(target),
            polygonized=min(pixels, held_parts * largest_part),
            written=max((area.height * area.width for area in areas), default=0),
            regions=pixels * region_bytes[0],
            cleaned=pixels * region_bytes[1],
            areas=max(1, len(areas)),
            assembled=made,
            planes=planes,
            decoded=source.read_cost.block_bytes,
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
            encoded=sum(plan.encoded for plan in plans),
            mapped=max(plan.mapped for plan in plans),
            window_pixels=max(plan.window_pixels for plan in plans),
            blocks=sum(plan.blocks for plan in plans),
            memory=max(plan.memory for plan in plans),
            output=sum(plan.output for plan in plans),
            drawing=max(plan.drawing for plan in plans),
            polygonized=max(plan.polygonized for plan in plans),
            written=max(plan.written for plan in plans),
            regions=max(plan.regions for plan in plans),
            cleaned=max(plan.cleaned for plan in plans),
            areas=sum(plan.areas for plan in plans),
            assembled=max(plan.assembled for plan in plans),
            planes=max(plan.planes for plan in plans),
            device=max(plan.device for plan in plans),
            decoded=max(plan.decoded for plan in plans),
            files_begun=any(plan.files_begun for plan in plans),
        )

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

    def to_json(self, probe: Probe, seconds: float, memory: int) -> dict[str, Any]:
        """The plan for the report; see `lines`."""
        return {
            "pixels": self.pixels,
            "windows": self.windows,
            "forwards": self.forwards,
            "forwards_per_window": round(self.forwards / self.windows, 4),
            "forward_pixels": self.forwards * self.window_pixels,
            "cells": self.cells,
            "encoded_pixels": self.encoded,
            "blocks": self.blocks,
            "peak_memory_bytes": memory,
            "seconds": round(seconds, 1),
            "output_bytes": self.output,
            "rate": f"measured {probe.kept_since}" if probe.kept_since else "measured now",
        }

    @property
    def _shared(self) -> str:
        """What windows share, in words."""
        if not self.cells:
            return ""
        return f" of {counted(self.cells, 'cell')} ({self.encoded / self.pixels:.2f} per pixel)"

    def lines(
        self, probe: Probe, seconds: float, memory: int, most: int, rasters: int
    ) -> list[str]:
        """The plan in two lines, for people.

        Args:
            probe: what a window takes.
            seconds: that the run will take.
            memory: bytes that the run will hold.
            most: bytes that the run may take.
            rasters: how many there are.
        """
        per_pixel = self.forwards * self.window_pixels / self.pixels
        return [
            f"plan: {counted(rasters, 'raster')}, {self.pixels / 1e6:.1f} Mpx, "
            f"{counted(self.windows, 'window')} in {counted(self.blocks, 'block')}, "
            f"{self.forwards} forwards at most ({per_pixel:.2f} per pixel)" + self._shared,
            f"      about {_duration(seconds)}, "
            f"{memory / 2**30:.1f} of {most / 2**30:.1f} GiB of memory, "
            f"{self.output / 1e6:.1f} MB of class rasters"
            + (f" (by a rate measured {probe.kept_since})" if probe.kept_since else ""),
        ]


def assembled_bytes(blocks: Sequence[Block], bands: int, shown: Window, side: int) -> int:
    """Bytes that are held while parts of so many bands become a raster, or squares of a side."""
    tallest = max(block.tallest_band for block in blocks)
    widest = max(block.area.width for block in blocks)
    columns = min(shown.width, side or shown.width, held_columns(bands, tallest))
    # The tiles, the part that is placed and its file's bytes, tiles that are compressed.
    held = min(shown.height, held_rows(tallest)) * columns
    return bands * (held + 2 * min(tallest, shown.height) * widest)


def _drawing(source: Source) -> int:
    """Bytes that are held while the imagery is read for the preview."""
    pixel_bytes = len(source.bands) * np.dtype(source.dtype).itemsize
    rows = min(PREVIEW_ROWS, source.shown.height) * source.shown.width * (pixel_bytes + 1)
    return rows + source.read_cost.working_bytes


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
