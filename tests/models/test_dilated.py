"""Dilated depthwise convolutions by phases give torch's results and gradients at any size."""

from __future__ import annotations

import copy
import pickle

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.models.dilated import PhasedConv2d, replace_dilated_convolutions
from geoseg.models.encoder import build_encoder


def pair(
    channels: int, size: tuple[int, int], dilation: int, bias: bool = False
) -> tuple[nn.Conv2d, PhasedConv2d]:
    """A depthwise convolution in float64 as torch has it, and by phases."""
    padding = (size[0] // 2 * dilation, size[1] // 2 * dilation)
    conv = nn.Conv2d(channels, channels, size, 1, padding, dilation, channels, bias).double()
    model = nn.Sequential(copy.deepcopy(conv))
    replace_dilated_convolutions(model)
    phased = model[0]
    assert isinstance(phased, PhasedConv2d)
    return conv, phased


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3),
    channels=st.integers(2, 5),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    size=st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([3, 5])),
    dilation=st.integers(2, 7),
    bias=st.booleans(),
    last=st.booleans(),
)
def test_results_and_gradients_are_those_of_torch(
    n, channels, height, width, size, dilation, bias, last
):
    conv, phased = pair(channels, size, dilation, bias)
    x = torch.randn(n, channels, height, width, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    theirs, ours = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, found = conv(theirs), phased(ours)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(phased.weight.grad, conv.weight.grad)
    if bias:
        torch.testing.assert_close(phased.bias.grad, conv.bias.grad)


def test_copies_and_saved_modules_compute_the_same():
    _, phased = pair(4, (3, 3), 2, bias=True)
    x = torch.randn(2, 4, 9, 7, dtype=torch.float64)
    expected = phased(x)
    for other in (copy.deepcopy(phased), pickle.loads(pickle.dumps(phased))):
        assert torch.equal(other(x), expected)


def test_autocast_computes_in_its_own_precision():
    conv, phased = pair(4, (3, 3), 2)
    x = torch.randn(2, 4, 9, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = phased.float()(x), conv.float()(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # not dilated
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),  # dense
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),  # two filters a channel
        nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=4),  # the map shrinks
        nn.Conv2d(4, 4, 3, stride=2, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4),
        nn.Conv2d(4, 4, (3, 2), padding=(2, 1), dilation=2, groups=4),
    ],
)
def test_other_convolutions_are_left_as_they_are(conv):
    model = nn.Sequential(conv)
    replace_dilated_convolutions(model)
    assert model[0] is conv


@pytest.mark.parametrize("stride", [8, 16])
def test_a_dilated_encoder_gives_what_smp_gives_under_the_same_names(stride):
    ours = build_encoder("tu-tf_efficientnet_lite0", output_stride=stride, stages=2).double().eval()
    theirs = (
        smp.encoders.get_encoder("tu-tf_efficientnet_lite0", weights=None, output_stride=stride)
        .double()
        .eval()
    )
    theirs.load_state_dict(ours.model.state_dict())
    assert any(isinstance(module, PhasedConv2d) for module in ours.modules())
    x = torch.randn(2, 3, 96, 64, dtype=torch.float64)
    with torch.inference_mode():
        for found, expected in zip(ours(x), theirs(x)[-2:], strict=True):
            torch.testing.assert_close(found, expected)


def test_an_exported_graph_keeps_the_dilated_convolution():
    _, phased = pair(4, (3, 3), 2)
    program = torch.export.export(phased, (torch.randn(1, 4, 9, 8, dtype=torch.float64),))
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert calls == [torch.ops.aten.conv2d.default]
