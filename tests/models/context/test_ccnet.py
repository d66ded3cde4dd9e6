from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import nn

from geoseg.models.context.ccnet import CCNetHead, CrissCrossAttention
from tests.models.plain.agreement import check_same
from tests.models.plain.ccnet import attend


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 1), (7, 9), (12, 8)])
def test_rows_and_columns_equal_the_masked_attention_over_all_pairs(
    height: int, width: int
) -> None:
    torch.manual_seed(0)
    module = CrissCrossAttention(16).double()
    nn.init.constant_(module.alpha, 0.7)
    x = torch.randn(2, 16, height, width, dtype=torch.float64, requires_grad=True)
    leaves = [x, module.alpha, module.value.weight]
    check_same(module(x), attend(module, x), leaves)


def test_two_loops_carry_every_pixel_to_every_other_and_one_does_not() -> None:
    torch.manual_seed(0)
    for loops, reached in ((1, 5 + 4 - 1), (2, 5 * 4)):
        head = CCNetHead((3,), 2, channels=8, loops=loops).double().eval()
        nn.init.constant_(head.attention.alpha, 1.0)
        x = torch.randn(1, 8, 5, 4, dtype=torch.float64, requires_grad=True)
        y = x
        for _ in range(loops):
            y = head.attention(y)
        y[0, :, 2, 1].sum().backward()
        assert x.grad is not None
        assert int((x.grad.abs().sum((0, 1)) > 0).sum()) == reached


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(CCNetHead.presets["geoseg"]) == {"resizing": "own", "channels": 512, "loops": 2}
    assert (CCNetHead.name, CCNetHead.stages) == ("ccnet", 1)
    assert CCNetHead.aux_weights == {}
