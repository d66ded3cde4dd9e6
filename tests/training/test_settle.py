from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from geoseg.models import create_model
from geoseg.training.settle import settled


@pytest.fixture
def net():
    torch.manual_seed(0)
    return create_model("isnet", encoder="tu-test_resnet", classes=3, in_channels=2, channels=8)


def test_statistics_are_the_mean_over_the_batches(net):
    batches = [torch.randn(3, 2, 64, 64) * scale for scale in (0.5, 1.0, 4.0)]
    alone = []
    for batch in batches:  # what each batch says by itself
        one = copy.deepcopy(net).train()
        for module in one.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
            if isinstance(module, nn.Dropout2d):
                module.eval()
        with torch.no_grad():
            one(batch)
        alone.append(dict(one.named_buffers()))
    found = dict(settled(net, batches).named_buffers())
    checked = 0
    for name, value in found.items():
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(value, torch.stack([buffers[name] for buffers in alone]).mean(0))
            checked += 1
    assert checked > 20


def test_the_network_itself_stays_as_it_was(net):
    before = copy.deepcopy(net.state_dict())
    found = settled(net, [torch.randn(2, 2, 64, 64)])
    assert not found.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    momenta = [[norm.momentum for norm in each.modules() if isinstance(norm, nn.BatchNorm2d)] for each in (net, found)]
    assert momenta[0] == momenta[1]
