"""What a forward takes on this machine, measured before the run begins."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import psutil

from geoseg.inference.plan import Probe
from geoseg.inference.predictor import Predictor
from geoseg.raster import Source


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
    """Bytes that this process has held at most."""
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
