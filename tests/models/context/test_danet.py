from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import nn

from geoseg.models.context.danet import ChannelAttention, DANetHead, PositionAttention
from tests.models.plain.agreement import check_same
from tests.models.plain.danet import attend_channels, attend_positions


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 1), (7, 9), (12, 8)])
def test_both_attentions_equal_their_equations_written_out(height: int, width: int) -> None:
    torch.manual_seed(0)
    position, channel = PositionAttention(16).double(), ChannelAttention().double()
    x = torch.randn(2, 16, height, width, dtype=torch.float64, requires_grad=True)
    for module in (position, channel):
        nn.init.constant_(module.alpha, 0.7)
    check_same(
        position(x), attend_positions(position, x), [x, position.alpha, position.value.weight]
    )
    check_same(channel(x), attend_channels(channel, x), [x, channel.alpha])


def test_both_attentions_are_the_identity_at_the_start() -> None:
    x = torch.randn(1, 16, 5, 4)
    assert torch.equal(PositionAttention(16)(x), x)
    assert torch.equal(ChannelAttention()(x), x)


def test_the_branches_are_added() -> None:
    head = DANetHead((6,), 3, channels=16).eval()
    x = torch.randn(1, 6, 5, 4)
    one, other = (branch(x) for branch in head.branches)
    assert torch.equal(head([x]).logits, head.classify(one + other))


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(DANetHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "attention": "both",
    }
    assert (DANetHead.name, DANetHead.stages) == ("danet", 1)
    assert DANetHead.aux_weights == {}
