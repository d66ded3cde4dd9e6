from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from geoseg.models.context.base import Resizing
from geoseg.models.encoder import _deepest_maps, build_encoder


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


@pytest.mark.parametrize(("resizing", "corners"), [("bilinear", False), ("corners", True)])
def test_hrnets_branches_are_brought_to_each_others_size_as_asked(
    resizing: Resizing, corners: bool
) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("tu-hrnet_w18_small", resizing=resizing).eval()
    module = encoder.model.stage2[0]
    x = [torch.randn(1, 16, 16, 24), torch.randn(1, 32, 8, 12)]
    with torch.no_grad():
        wide, deep = module.branches[0](x[0]), module.branches[1](x[1])
        from_deep = module.fuse_layers[0][1][:2](deep)
        found = module(list(x))[0]
    expected = F.interpolate(from_deep, (16, 24), mode="bilinear", align_corners=corners)
    torch.testing.assert_close(found, torch.relu(wide + expected))
    whole = encoder(torch.randn(1, 3, 64, 96))[0]
    assert whole.shape[2:] == (16, 24)


def test_openseg_keeps_the_last_row_and_column_of_resnets() -> None:
    x = torch.randn(1, 3, 64, 95)
    with torch.no_grad():
        for name in ("resnet18", "tu-resnet50c"):
            (own,) = build_encoder(name, output_stride=8).eval()(x[:, :, :, :64])
            (kept,) = build_encoder(name, output_stride=8, resizing="openseg").eval()(x)
            assert (own.shape[2:], kept.shape[2:]) == ((8, 8), (9, 13))


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_a_resnets_deepest_maps_are_those_of_its_own_forward(stages: int) -> None:
    encoder = build_encoder("resnet18", output_stride=32, stages=stages).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        own = encoder.model(x)[-stages:]
        deepest = _deepest_maps(encoder.model, x, stages)
    assert all(map(torch.equal, deepest, own))
    assert len(deepest) == stages
