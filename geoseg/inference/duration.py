"""How long a run takes, by formulas and what a window was measured to take."""

from __future__ import annotations

from geoseg.inference.choice import Choice
from geoseg.inference.fork_server import START_METHOD
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe

# CPU times, which the probe's `slowness` brings to this machine and its load.
START_SECONDS = 0.75
"""For the libraries that are loaded later."""
RASTER_SECONDS = 0.025
"""For a raster of any size: its class raster and its preview."""
POLYGONS_SECONDS = 0.015
"""Likewise, for its polygons."""
CLUSTER_SECONDS = 1.5
"""For worker processes of this machine, once: to connect and to end them. What they are forked from
imports its libraries before, beside this process: 2.5 to 4 seconds."""
WORKER_SECONDS = 0.5 if START_METHOD == "forkserver" else 3.5
"""For each of them: to start it and to load the network (0.2 for the smallest, 0.8 for an HCNet on
ResNet-18); one that is not forked imports its libraries too."""
PLANE_SECONDS_PER_PIXEL = 1.6e-8
"""For one plane of a raster: its overviews, its COG, its counts."""
DEFLATE_SHARE = 0.65
"""GDAL deflates faster than zlib, which the probe measures, but the overviews too."""
PART_SECONDS_PER_PIXEL = 1e-8
"""For finding polygons, and for each of them and each of their corners."""
REGION_SECONDS = 5e-6
CORNER_SECONDS = 1.6e-6
LOCKED_SECONDS = 20.0
"""Of work on small files, beyond which worker processes are quicker than threads, start included:
threads wait for one another, as Python has one lock."""
NOTICED_SHARE = 0.02
"""Of the network's time: files that take less are made after it, in less memory."""


def seconds_of(
    plan: RasterPlan, probe: Probe, choice: Choice, rasters: int = 1, *, joined: bool = False
) -> float:
    """Seconds that forwards, rasters, polygons and previews will take.

    Args:
        plan: of the run.
        probe: what a window takes.
        choice: what is in memory at once.
        rasters: how many there are.
        joined: workers run already, in a cluster that was joined.
    """
    processes = max(1, min(choice.workers, probe.at_once))
    starts = START_SECONDS
    if choice.workers and not joined:
        starts += CLUSTER_SECONDS + WORKER_SECONDS * choice.workers / processes
    starts *= probe.slowness
    together = min(rasters, processes if choice.workers else choice.threads)
    network = _network_seconds(plan, probe) / processes
    return network + starts + _file_seconds(plan, probe, rasters) / together


def gains_by_files_begun(plan: RasterPlan, probe: Probe) -> bool:
    """Whether files that are begun beside the network save time that anyone would notice."""
    return _file_seconds(plan, probe, 1) > NOTICED_SHARE * _network_seconds(plan, probe)


def quicker_by_workers(plan: RasterPlan, probe: Probe, choice: Choice, rasters: int) -> list[str]:
    """What `seconds_of` is given, where processes would gain more than threads do: a line."""
    locked = RASTER_SECONDS * rasters * probe.slowness
    if choice.workers or choice.threads < 2 or locked < LOCKED_SECONDS:
        return []
    if _network_seconds(plan, probe) > locked / 2:
        return []
    return [f"      so many small rasters are made in less time with --workers {choice.threads}"]


def _network_seconds(plan: RasterPlan, probe: Probe) -> float:
    return plan.forwards * probe.seconds + plan.cells * probe.cell_seconds


def _file_seconds(plan: RasterPlan, probe: Probe, rasters: int) -> float:
    """Of class rasters, polygons and previews, one after the other."""
    plane = PLANE_SECONDS_PER_PIXEL + DEFLATE_SHARE * probe.deflate_seconds
    files = RASTER_SECONDS * rasters + plan.pixels * plan.planes * plane
    if plan.polygonized:
        polygons = probe.polygon_cost(REGION_SECONDS, CORNER_SECONDS)
        files += POLYGONS_SECONDS * rasters + plan.pixels * (PART_SECONDS_PER_PIXEL + polygons)
    return files * probe.slowness
