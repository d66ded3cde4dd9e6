from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.training.average import Average


def moved(net: nn.Module) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter))
        net(torch.randn(4, 2, 3, 3))  # running statistics move too


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_the_average_equals_the_sum_written_out(decay: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    average = Average(net, decay)
    expected = {name: tensor.double() for name, tensor in net.state_dict().items()}
    for step in range(30):
        moved(net)
        average.update(net, step)
        keep = min(decay, (1 + step) / (10 + step))
        for name, tensor in net.state_dict().items():
            expected[name] = keep * expected[name] + (1 - keep) * tensor.double()
    for name, tensor in average.net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert int(tensor) == 30
        else:
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_the_average_is_judged_not_trained() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    average = Average(net, 0.9)
    assert not average.net.training
    assert not any(parameter.requires_grad for parameter in average.net.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert net.training
