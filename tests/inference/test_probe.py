"""The peak memory of a process, against what the system says of it."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from geoseg.inference.probe import peak_memory


def test_the_peak_is_what_the_process_has_held_at_most() -> None:
    peak = peak_memory()
    if sys.platform.startswith("linux"):
        status = Path("/proc/self/status").read_text()
        kibibytes = next(line.split()[1] for line in status.splitlines() if "VmHWM" in line)
        assert peak == pytest.approx(int(kibibytes) * 1024, rel=5e-4)
    block = b"x" * (64 * 2**20)
    assert peak_memory() >= max(peak, psutil.Process().memory_info().rss * 0.95)
    del block
    assert peak_memory() >= peak


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts in KiB")
def test_without_proc_the_peak_comes_from_resource_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(Path, "exists", lambda path: False)
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_memory() == pytest.approx(usage * 1024, rel=5e-4)
    monkeypatch.setattr(sys, "platform", "darwin")  # which counts in bytes
    assert peak_memory() == pytest.approx(usage, rel=5e-4)
