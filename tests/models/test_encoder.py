from __future__ import annotations

import pytest
import torch

from geoseg.models.encoder import build_encoder


def test_two_stages_of_a_dilated_encoder_are_its_own_maps() -> None:
    encoder = build_encoder("resnet18", output_stride=8, stages=2).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps, own = encoder(x), encoder.model(x)
    assert encoder.channels == (256, 512)
    assert all(torch.equal(found, expected) for found, expected in zip(maps, own[-2:], strict=True))
    assert maps[1].shape[2:] == (8, 12)


def test_stages_of_different_stride_come_at_the_size_of_the_shallowest() -> None:
    encoder = build_encoder("tu-pvt_v2_b0", stages=2).eval()
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, 64, 96))
    assert (encoder.stride, encoder.multiple) == (32, 32)
    assert [tuple(x.shape) for x in maps] == [(1, 160, 4, 6), (1, 256, 4, 6)]


def test_hrnet_gives_its_four_raw_branches_at_stride_4() -> None:
    encoder = build_encoder("tu-hrnet_w18_small", in_channels=5, stages=2).eval()
    x = torch.randn(1, 5, 64, 96)
    with torch.no_grad():
        first, second = encoder(x)
        branches = encoder.model(x)
    assert encoder.channels == (sum(branch.shape[1] for branch in branches),) * 2
    assert first is second
    assert first.shape[2:] == (16, 24)
    assert torch.equal(first[:, : branches[0].shape[1]], branches[0])


def test_hrnet_w48_has_720_channels() -> None:
    assert build_encoder("tu-hrnet_w48").channels == (720,)


@pytest.mark.parametrize("name", ["tu-convnext_atto", "mit_b0"])
def test_the_empty_map_of_encoders_that_start_at_stride_4_is_left_out(name: str) -> None:
    encoder = build_encoder(name, output_stride=32, stages=4).eval()
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, 64, 64))
    assert tuple(x.shape[1] for x in maps) == encoder.channels
    assert min(encoder.channels) > 0


def test_an_encoder_that_cannot_be_dilated_runs_at_its_own_stride() -> None:
    assert build_encoder("densenet121").stride == 32
    assert build_encoder("resnet18").stride == 8
