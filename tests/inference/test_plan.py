from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from geoseg.inference.plan import Probe
from geoseg.inference.predictor import ForwardOptions, Predictor
from geoseg.models import Model
from geoseg.tiling import TileGrid


class SlowAtFirst(nn.Module):
    """A network whose first forward takes a while, as those do that still choose their kernels."""

    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        if self.runs == 1:
            time.sleep(0.5)
        return torch.zeros(len(x), 4, *x.shape[2:])


def test_the_time_told_is_that_of_a_network_warmed_up(make_model: Callable[..., Model]) -> None:
    predictor = Predictor(make_model(net=SlowAtFirst()), ForwardOptions())
    probe = Probe.of(predictor, TileGrid(64, 64, 16, 4), bands=3, dtype="uint8")
    assert 0.0 < probe.seconds < 0.5
    assert probe.peak_bytes > 2**20
