"""Padding as TensorFlow's stays timm's, and is a number in graphs for sides of any multiple."""

from __future__ import annotations

import pytest
import timm.layers.padding
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from torch.export import Dim, ExportedProgram, export

from geoseg.models.same_padding import constant_same_padding

SIDES = [(3, 4), (4, 3), (6, 7), (8, 5)]
"""Of images, in multiples: programs take two positions and more."""


def traced(net: nn.Module, multiple: int) -> ExportedProgram:
    image = torch.zeros(1, 2, 5 * multiple, 7 * multiple)
    rows, cols = (multiple * Dim(name, min=1, max=999) for name in ("rows", "cols"))
    with constant_same_padding(multiple):
        return export(net, (image,), dynamic_shapes=({2: rows, 3: cols},))


def strided(kernel: int, stride: int, dilation: int = 1) -> nn.Module:
    return Conv2dSame(2, 2, kernel, stride, dilation=dilation)


def test_the_number_is_timms_for_every_side() -> None:
    of_timm = timm.layers.padding.get_same_padding
    cases = [
        (side, kernel, stride, dilation)
        for side in range(1, 40)
        for kernel in (1, 2, 3, 5, 7)
        for stride in (1, 2, 3, 4)
        for dilation in (1, 2)
    ]
    with constant_same_padding(4):
        found = [timm.layers.padding.get_same_padding(*case) for case in cases]
    assert found == [of_timm(*case) for case in cases]
    assert timm.layers.padding.get_same_padding is of_timm


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(strided(3, 2), nn.ReLU(), strided(5, 2, dilation=2), strided(1, 2)),
        nn.Sequential(strided(7, 4), MaxPool2dSame(3, 2)),
        nn.Sequential(strided(5, 8), strided(3, 1, dilation=3), strided(2, 1)),
    ],
)
def test_all_padding_is_of_numbers_and_gives_the_network_at_all_sizes(net: nn.Sequential) -> None:
    program = traced(net, 8)
    pads = [node for node in program.graph.nodes if "pad" in str(node.target)]
    assert pads
    assert all(type(width) is int for node in pads for width in node.args[1])
    for rows, cols in SIDES:
        image = torch.randn(1, 2, 8 * rows, 8 * cols)
        torch.testing.assert_close(program.module()(image), net(image))


def test_sides_that_a_stride_does_not_divide_are_padded_as_they_need_it() -> None:
    net = nn.Sequential(strided(3, 2), strided(3, 2))
    program = traced(net, 2)
    for rows, cols in SIDES:
        image = torch.randn(1, 2, 2 * rows, 2 * cols)
        torch.testing.assert_close(program.module()(image), net(image))
