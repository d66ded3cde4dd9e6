"""Vision transformers as encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from geoseg.models.encoder import build_encoder
from geoseg.models.plain import is_plain

TINY = "tu-vit_tiny_patch16_224"


def timm_model(name: str, weights: Any, **options: Any) -> Any:
    """timm's own model, for images of its own size only, with the weights of an encoder."""
    model = timm.create_model(name.removeprefix("tu-"), num_classes=0, **options)
    model.load_state_dict(weights.state_dict(), strict=True)
    return model.eval()


@pytest.mark.parametrize(("stages", "blocks"), [(1, [11]), (2, [8, 11])])
def test_the_maps_of_a_plain_transformer_are_its_last_and_the_one_at_three_quarters(
    stages: int, blocks: list[int]
) -> None:
    encoder = build_encoder(TINY, stages=stages, in_channels=4).eval()
    model = timm_model(TINY, encoder.model.model, in_chans=4)
    x = torch.randn(1, 4, 224, 224)
    with torch.no_grad():
        maps = encoder(x)
        expected = model.get_intermediate_layers(x, n=blocks, reshape=True, norm=True)
    assert (encoder.stride, encoder.pitch, encoder.multiple) == (16, 16, 16)
    assert [tuple(each.shape) for each in maps] == [(1, 192, 14, 14)] * stages
    assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))


def test_patches_of_14_pixels_give_a_stride_of_14_or_by_a_neck_7() -> None:
    x = torch.zeros(1, 3, 42, 70)
    for stride in (None, 7):
        encoder = build_encoder("tu-eva02_tiny_patch14_224", output_stride=stride).eval()
        with torch.no_grad():
            maps: list[Tensor] = encoder(x)
        stride = stride or 14
        assert (encoder.stride, encoder.multiple) == (stride, 14)
        assert maps[0].shape[2:] == (42 // stride, 70 // stride)


def test_a_swin_transformer_takes_any_size_and_gives_timms_maps_at_its_own() -> None:
    name = "tu-swin_tiny_patch4_window7_224"
    encoder = build_encoder(name, output_stride=32, stages=2).eval()
    plain = timm.create_model(
        name.removeprefix("tu-"), features_only=True, out_indices=(2, 3), always_partition=True
    ).eval()
    plain.load_state_dict(encoder.model.model.state_dict())
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        found = encoder.model(x)[-2:]
        expected = [each.permute(0, 3, 1, 2) for each in plain(x)]
        assert encoder(torch.zeros(1, 3, 96, 160))[1].shape[2:] == (6, 10)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_weights_of_a_file_fill_the_transformer_and_leave_the_neck_alone(tmp_path: Path) -> None:
    """DINOv2's checkpoints hold bare names, as timm's models do."""
    file = tmp_path / "vit.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("vit_tiny_patch16_224").state_dict(), file)
    encoder = build_encoder(TINY, output_stride=8, weights=str(file))
    saved = torch.load(file, weights_only=True)
    for name, tensor in encoder.model.model.state_dict().items():
        assert torch.equal(tensor, saved[name]), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tu-vit_small_patch14_dinov2.lvd142m", True),
        ("tu-vit_small_patch16_dinov3", True),
        ("tu-deit3_small_patch16_224", True),
        ("tu-convnext_tiny.dinov3_lvd1689m", False),
        ("tu-swinv2_tiny_window8_256", False),
        ("resnet50", False),
    ],
)
def test_plain_transformers_are_known_by_name(name: str, expected: bool) -> None:
    assert is_plain(name) == expected
