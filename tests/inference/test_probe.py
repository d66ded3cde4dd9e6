"""What is measured before a run: one warm forward, and the memory of this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor, nn

from geoseg.inference.predictor import ForwardOptions, Predictor
from geoseg.inference.probe import peak_memory, probe_forward
from geoseg.models import Model
from geoseg.raster import open_raster


class SlowAtFirst(nn.Module):
    """A network whose first forward takes a while, as those do that still choose their kernels."""

    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.1 if self.shapes else 1.0)
        self.shapes.append(tuple(x.shape))
        return torch.zeros(len(x), 4, *x.shape[2:])


def test_the_time_is_a_windows_share_of_a_warm_forward(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    net = SlowAtFirst()
    predictor = Predictor(make_model(net=net), ForwardOptions(), batch=4)
    probe = probe_forward(predictor, open_raster(make_raster()), 16)
    assert net.shapes == [(4, 3, 16, 16)] * 2
    assert 0.02 < probe.seconds < 0.2, "0.1 s for 4 windows, and some for a busy machine"
    assert probe.peak_bytes > 2**20


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
