from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from geoseg.models.context.psanet import PointwiseAttention, PSANetHead
from tests.models.plain.agreement import check_same
from tests.models.plain.psanet import attend


@pytest.mark.parametrize("distribute", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 9), (8, 7), (13, 16)])
def test_attention_equals_the_lookup_pair_by_pair(
    distribute: bool, height: int, width: int
) -> None:
    torch.manual_seed(0)
    module = (
        PointwiseAttention(6, 8, 4, distribute=distribute).double().eval()
    )  # reach 4: (13, 16) is beyond it
    x = torch.randn(2, 6, height, width, dtype=torch.float64, requires_grad=True)
    check_same(module(x), attend(module, x), [x, module.predict.weight])


def test_every_relative_position_of_a_training_map_has_its_own_weight() -> None:
    head = PSANetHead((6,), 3, channels=4, size=9)
    assert (
        head.collect.predict.out_channels
        == head.distribute.predict.out_channels
        == (2 * 5 - 1) ** 2
    )
    index = head.collect._relative((5, 5), torch.device("cpu"))
    assert index.unique().numel() == 81


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(PSANetHead.presets["geoseg"]) == {"resizing": "own", "channels": 512, "size": 97}
    assert (PSANetHead.name, PSANetHead.stages) == ("psanet", 1)
    assert PSANetHead.aux_weights == {}
