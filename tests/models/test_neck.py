from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from geoseg.models.encoder import build_encoder
from geoseg.models.neck import Neck


def test_deep_maps_come_down_to_the_shallowest_one_by_one() -> None:
    """The sum of a feature pyramid, written out for two given maps of three."""
    torch.manual_seed(0)
    neck = Neck((2, 3, 5), stages=2).eval()
    maps = [torch.randn(1, 2, 8, 12), torch.randn(1, 3, 4, 6), torch.randn(1, 5, 2, 3)]
    a, b, c = (lateral(x) for lateral, x in zip(neck.laterals, maps, strict=True))

    def up(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear")

    shallow, deep = neck(maps, (8, 12))
    assert torch.equal(shallow, neck.smooth[0](up(b) + a))
    assert torch.equal(deep, neck.smooth[1](up(up(c) + b) + a))


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("stages", [1, 2])
def test_an_encoder_that_cannot_be_dilated_gets_a_finer_stride_by_a_neck(
    stride: int, stages: int
) -> None:
    encoder = build_encoder("tu-pvt_v2_b0", output_stride=stride, stages=stages).eval()
    assert (encoder.stride, encoder.pitch, encoder.multiple) == (stride, stride, 32)
    assert encoder.channels == (256,) * stages
    with torch.no_grad():
        maps = encoder(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(1, 256, 64 // stride, 96 // stride)] * stages
