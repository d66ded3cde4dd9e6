from __future__ import annotations

from dataclasses import asdict

import torch

from geoseg.models.context.pixel import PixelHead
from tests.models.plain.agreement import check_close, make_map


def test_each_pixel_is_classified_by_its_bands_alone() -> None:
    head = PixelHead((3,), 4).double()
    x = make_map(3)
    weight, bias = head.classify.conv.weight[:, :, 0, 0], head.classify.conv.bias
    expected = torch.einsum("kb,nbhw->nkhw", weight, x) + bias[:, None, None]
    check_close(head([x]).logits, expected)
    assert sum(parameter.numel() for parameter in head.parameters()) == 3 * 4 + 4


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(PixelHead.presets["geoseg"]) == {}
    assert (PixelHead.name, PixelHead.stages) == ("pixel", 0)
    assert PixelHead.aux_weights == {}
