"""What this machine takes now for a window of a raster, and for work of a known size."""

from __future__ import annotations

import statistics
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.inference.stitching import Band, classify, make_stitcher
from geoseg.raster import Source
from geoseg.tiling import Block, TileGrid, Window
from geoseg.vector import polygonize_part
from geoseg.vector.components import find_components
from geoseg.vector.outlines import find_corners

if TYPE_CHECKING:
    from geoseg.inference.predictor import Predictor

PATTERN_SECONDS = 0.0065
"""CPU time of polygonizing `_pattern` once, where the plan's seconds were measured."""


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
    at_once: int = 1
    """Windows that this machine runs at once, each in so many seconds."""


def probe_forward(predictor: Predictor, source: Source, window: int) -> Probe:
    """Measure the window in the raster's middle.

    The first time also chooses kernels and allocates; of two or more, as many as 1.5 seconds
    have room for, the median counts: other work slows down the run too, but no single hitch.
    """
    pixels, valid = _read_middle(source, window)
    band = _predict(predictor, pixels, valid)
    seconds: list[float] = []
    # In a thread, as blocks run: beside the main thread's pool, another pool of OpenMP does not
    # spin. On a busy machine that makes a difference of ten times.
    with ThreadPoolExecutor(1, "geoseg-probe") as thread:
        while len(seconds) < 2 or (sum(seconds) < 1.5 and len(seconds) < 20):
            started = time.perf_counter()
            thread.submit(_predict, predictor, pixels, valid).result()
            seconds.append(time.perf_counter() - started)
    peak = peak_memory()
    labels = band.labels
    components = find_components(labels, None)
    started = time.thread_time()  # a thousandth of a second: too short to meet other load
    zlib.compress(labels.tobytes())
    deflated = time.thread_time() - started
    return Probe(
        statistics.median(seconds) / predictor.batch,
        peak,
        components.class_id.size / labels.size,
        find_corners(components).region.size / labels.size,
        deflated / labels.size,
        _slowness(),
        predictor.at_once,
    )


def _read_middle(source: Source, window: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels and validity of the window in the raster's middle."""
    height, width = min(window, source.height), min(window, source.width)
    pixels = np.zeros((len(source.bands), height, width), source.dtype)
    valid = np.zeros((height, width), np.bool_)
    # Damaged pixels fail the raster in its own run; here zeros do for them.
    with suppress(SourceError), source.open() as reader:
        place = ((source.height - height) // 2, (source.width - width) // 2, height, width)
        pixels[:], valid[:] = reader.read(*place)
    return pixels, valid


def _predict(predictor: Predictor, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> Band:
    """The classes of a batch of equal windows, made as a block makes them."""
    height, width = valid.shape
    area = Window(0, 0, height, width)
    grid = TileGrid(height, width, max(height, width), 0)
    stitcher = make_stitcher(Block(grid, area), predictor.classes)
    batch = [np.stack([array] * predictor.batch) for array in (pixels, valid)]
    for probabilities in predictor.probabilities(*batch):
        stitcher.add(0, 0, probabilities)
        scores, totals = stitcher.finish(area)
        band = classify(area, scores, totals, valid)
    return band


def _slowness() -> float:
    """How many times longer than its CPU time elsewhere the same work takes here and now."""
    pattern = _pattern()
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < 0.25:
        started = time.perf_counter()
        polygonize_part(pattern, pattern, 0, 0)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:]) / PATTERN_SECONDS


def _pattern() -> NDArray[np.uint8]:
    """Squares of random classes: some thousand small polygons."""
    cells = np.random.default_rng(0).integers(0, 6, (64, 64), np.uint8)
    return cells.repeat(2, 0).repeat(2, 1)


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
