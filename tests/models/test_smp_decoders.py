from __future__ import annotations

from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch

from geoseg.errors import ModelError
from geoseg.models import create_model
from geoseg.models.smp_decoders import build_smp_model, check_options

ENCODER = "tu-mobilenetv3_small_050"
FACTS: dict[str, Any] = {
    "in_channels": 4,
    "classes": 3,
    "output_stride": None,
    "weights": None,
    "options": {},
}


@pytest.mark.parametrize("system", ["smp.unet", "smp.fpn", "smp.deeplabv3plus", "smp.pspnet"])
def test_logits_are_those_of_smps_own_model(system: str) -> None:
    net = create_model(system, encoder="resnet18", classes=3, in_channels=4).eval()
    theirs = smp.MODEL_ARCHITECTURES_MAPPING[system.removeprefix("smp.")](
        "resnet18", encoder_weights=None, in_channels=4, classes=3
    ).eval()
    theirs.encoder.load_state_dict(net.encoder.state_dict())
    theirs.decoder.load_state_dict(net.head.decoder.state_dict())
    theirs.segmentation_head.load_state_dict(net.head.classify.state_dict())
    x = torch.randn(1, 4, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(net(x), theirs(x))


def test_logits_are_float32_under_autocast() -> None:
    net = create_model("smp.unet", encoder=ENCODER, classes=3).eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        features = net.encoder(torch.randn(1, 3, 64, 64))
        logits, aux = net.head(features)
    assert logits.dtype == torch.float32
    assert aux == {}


@pytest.mark.parametrize(
    ("system", "given", "stride", "multiple"),
    [
        ("smp.unet", None, 32, 32),
        ("smp.pan", None, 16, 128),
        ("smp.pan", 32, 32, 256),
        ("smp.deeplabv3plus", None, 16, 16),
        ("smp.deeplabv3plus", 8, 8, 8),
    ],
)
def test_stride_and_multiple_are_those_of_encoder_and_decoder(
    system: str, given: int | None, stride: int, multiple: int
) -> None:
    built = build_smp_model(system, "resnet18", **{**FACTS, "output_stride": given})
    assert built[2:] == (stride, multiple)
    deepest = built[0].eval()(torch.zeros(1, 4, multiple, multiple))[-1]
    assert deepest.shape[2:] == (multiple // stride, multiple // stride)


def test_dpt_takes_images_of_any_size() -> None:
    net = create_model("smp.dpt", encoder="tu-vit_tiny_patch16_224", classes=2).eval()
    assert (net.stride, net.multiple) == (16, 32)
    with torch.inference_mode():
        assert net(torch.randn(1, 3, 70, 33)).shape == (1, 2, 70, 33)


def test_options_reach_the_decoder_and_others_are_refused() -> None:
    options = {"decoder_channels": (32, 16, 16, 8, 8)}
    _, head, _, _ = build_smp_model("smp.unet", "resnet18", **{**FACTS, "options": options})
    assert head.classify[0].in_channels == 8
    check_options("smp.pspnet", {"psp_out_channels": 64})
    with pytest.raises(ModelError, match=r"smp\.unet has no option 'classes'; it has decoder_"):
        check_options("smp.unet", {"classes": 3})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "smp.unet", "output_stride": 16}, "runs at output stride 32, not 16; leave"),
        ({"encoder": "resnet1"}, "there is no encoder 'resnet1'"),
        (
            {"system": "smp.linknet", "encoder": "mit_b0"},
            "does not take encoder mit_b0 .*choose an",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    facts = {"system": "smp.unet", "encoder": "resnet18", **FACTS, **change}
    with pytest.raises(ModelError, match=message):
        build_smp_model(**facts)


def test_weights_of_a_file_are_loaded(tmp_path: Any) -> None:
    encoder, _, _, _ = build_smp_model("smp.unet", "resnet18", **FACTS)
    file = tmp_path / "weights.pth"
    torch.save(encoder.state_dict(), file)
    torch.manual_seed(1)
    other, _, _, _ = build_smp_model("smp.unet", "resnet18", **{**FACTS, "weights": str(file)})
    assert torch.equal(other.conv1.weight, encoder.conv1.weight)
