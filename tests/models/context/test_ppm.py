from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from geoseg.models.context.ppm import PPMHead, PyramidPooling
from tests.models.plain.agreement import check_same
from tests.models.plain.ppm import pool


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (7, 9), (12, 18), (13, 64)])
def test_pyramid_equals_adaptive_pooling(height: int, width: int) -> None:
    torch.manual_seed(0)
    module = PyramidPooling(6, 4).double().eval()
    x = torch.randn(2, 6, height, width, dtype=torch.float64, requires_grad=True)
    check_same(module(x), pool(module, x), [x, *(level[0].weight for level in module.levels)])


def test_the_pyramid_is_as_wide_as_the_map() -> None:
    head = PPMHead((2048,), 19)
    assert [level[0].out_channels for level in head.pyramid.levels] == [512] * 4
    assert head.fuse[0].in_channels == 4096


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(PPMHead.presets["geoseg"]) == {"resizing": "own", "channels": 512}
    assert (PPMHead.name, PPMHead.stages) == ("ppm", 1)
    assert PPMHead.aux_weights == {}
