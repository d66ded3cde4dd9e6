"""What a file of halves keeps, and what it refuses."""

from __future__ import annotations

import pytest
import torch

import geoseg
from geoseg.errors import ModelError
from geoseg.models.stored_tensors import stored_tensors

from .conftest import make_net


def test_halves_keep_what_has_one_axis_and_what_is_no_float() -> None:
    net = make_net("hcnet")
    norm = next(each for each in net.modules() if isinstance(each, torch.nn.BatchNorm2d))
    norm.running_var.fill_(1e-9)  # nothing, in float16
    own, halves = net.state_dict(), stored_tensors(net, half=True)
    assert halves.keys() == own.keys()
    for name, tensor in halves.items():
        kernel = tensor.ndim > 1 and own[name].is_floating_point()
        assert tensor.dtype == (torch.float16 if kernel else own[name].dtype)
        assert torch.equal(tensor, own[name].half() if kernel else own[name])
    assert any(bool((tensor == 1e-9).all()) for tensor in halves.values())


def test_values_beyond_float16_and_files_of_other_programs_are_refused() -> None:
    net = make_net("hcnet")
    with torch.no_grad():
        next(weights for weights in net.parameters() if weights.ndim > 1)[0] = 1e6
    with pytest.raises(ModelError, match=r"half: tensor '\S+' has values .* leave half out"):
        stored_tensors(net, half=True)
    own = {"classes": ["a", "b"], "bands": ["r"], "mean": [0], "std": [1], "value_range": (0, 255)}
    model = geoseg.wrap(torch.nn.Conv2d(1, 2, 1), **own)
    with pytest.raises(ModelError, match=r"half: .* another program; leave half out"):
        stored_tensors(model.net.portable(), half=True)
