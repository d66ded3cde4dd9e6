"""1x1 convolutions follow the layout of their maps."""

from __future__ import annotations

import torch
from torch import nn

from geoseg.models.pointwise import follow_the_map

LAST, PLANES = torch.channels_last, torch.contiguous_format


def is_last(x: torch.Tensor) -> bool:
    return x.stride(1) == 1


def test_planes_stay_planes_and_channels_last_stays_so() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 4, 1), nn.Conv2d(4, 5, 1, bias=False)).eval()
    image = torch.randn(1, 6, 9, 7)
    wanted = net(image)
    net.to(memory_format=LAST)
    weights = [each.detach().clone() for each in net.parameters()]
    follow_the_map(net)
    for before, after in zip(weights, net.parameters(), strict=True):
        assert torch.equal(before, after)
    for layout in (LAST, PLANES):
        given = net(image.contiguous(memory_format=layout))
        assert is_last(given) == (layout is LAST)
        torch.testing.assert_close(given, wanted)


def test_other_kernels_keep_their_layout() -> None:
    conv = nn.Conv2d(6, 4, 3).to(memory_format=LAST)
    follow_the_map(conv)
    assert is_last(conv.weight)
    assert is_last(conv(torch.randn(1, 6, 9, 7)))
