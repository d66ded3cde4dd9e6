"""What a window takes on a machine; how much memory this process has taken."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Probe:
    """What one window takes on this machine."""

    seconds: float
    """To run a window, to stitch and to classify it."""
    peak_bytes: int
    """The process's peak so far, one forward included."""
    regions_per_pixel: float = 0.0
    """How finely its classes are mixed, which decides how many polygons there will be."""
    corners_per_pixel: float = 0.0
    """Of these polygons."""
    deflate_seconds: float = 0.0
    """CPU time of deflating a pixel's class."""
    slowness: float = 1.0
    """How many times longer work takes now than its CPU time where the plan's was measured."""
    cell_seconds: float = 0.0
    """To encode a cell, where windows share."""
    map_bytes: float = 0.0
    """Of the maps that they share, a pixel."""
    at_once: int = 1
    """Windows that this machine runs at once, each in so many seconds."""
    held_bytes: int = 0
    """What the process holds between forwards."""
    stitched_bytes: int = 0
    """Of the peak, what stitching that window took: a block has its own."""
    kept_since: str = ""
    """When an earlier run has measured it; empty: this one has."""

    def polygon_cost(self, region: float, corner: float) -> float:
        """What polygons cost per pixel, given the cost of each and of each of their corners."""
        return self.regions_per_pixel * region + self.corners_per_pixel * corner


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
