"""What this process holds, and what GDAL may hold in it."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

GDAL_CACHE = 64 * 2**20
"""Bytes of decoded blocks that GDAL keeps; its own default is 5 % of the machine's memory in each process."""


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
