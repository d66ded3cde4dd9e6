from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.errors import ModelError
from geoseg.models import Outputs, Segmenter, create_model
from geoseg.models.context import HEADS

from .conftest import make_net

SYSTEMS: list[tuple[str, dict[str, Any]]] = [
    ("hcnet", {}),
    ("hcnet", {"output_stride": 16}),
    ("hcnet", {"encoder": "tu-tf_efficientnet_lite0", "in_channels": 4}),
    ("ocrnet", {}),
    ("ocrnet", {"output_stride": 32}),
    ("ocrnet", {"encoder": "tu-hrnet_w18_small"}),
    ("fcn", {"channels": 16}),
    ("pixel", {}),
    ("smp.unet", {}),
    ("smp.pan", {}),
]
systems = pytest.mark.parametrize(("system", "options"), SYSTEMS, ids=lambda value: str(value))


@systems
def test_logits_are_float32_at_the_size_of_any_image(system: str, options: dict[str, Any]) -> None:
    net = make_net(system, **options)
    for height, width in [(1, 1), (1, 70), (33, 47), (64, 64)]:
        with torch.no_grad():
            logits = net(torch.randn(2, net.spec.in_channels, height, width))
        assert logits.shape == (2, 4, height, width)
        assert logits.dtype == torch.float32


@pytest.mark.parametrize("system", sorted(HEADS))
def test_every_head_takes_images_smaller_than_its_stride(system: str) -> None:
    net = make_net(system)
    for height, width in [(1, 1), (1, 40), (9, 3)]:
        with torch.no_grad():
            logits = net(torch.randn(1, net.spec.in_channels, height, width))
        assert logits.shape == (1, 4, height, width)
        assert logits.isfinite().all()


@systems
def test_training_mode_gives_named_auxiliary_logits(system: str, options: dict[str, Any]) -> None:
    net = make_net(system, **options).train()
    outputs = net(torch.randn(2, net.spec.in_channels, 64, 64))
    assert isinstance(outputs, Outputs)
    assert outputs.logits.shape == (2, 4, 64, 64)
    assert outputs.aux.keys() == ({"hcnet": {"prior"}, "ocrnet": {"coarse"}}.get(system, set()))
    stride = {"ocrnet": {8: 8, 32: 16, 4: 4}}.get(system, {}).get(net.stride, net.stride)
    assert all(
        logits.shape == (2, 4, 64 // stride, 64 // stride) for logits in outputs.aux.values()
    )


@pytest.fixture(scope="module", params=["hcnet", "ocrnet"])
def net(request: pytest.FixtureRequest) -> Segmenter:
    return make_net(request.param, encoder="tu-tf_efficientnet_lite0")


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(height=st.integers(1, 80), width=st.integers(1, 80), channels_last=st.booleans())
def test_logits_are_bitwise_the_same_in_any_batch(
    net: Segmenter, height: int, width: int, channels_last: bool
) -> None:
    assert_same_in_any_batch(net, height, width, channels_last)


@pytest.mark.parametrize(
    ("system", "size"), [("hcnet", (64, 64)), ("hcnet", (72, 81)), ("pixel", (61, 47))]
)
def test_other_networks_are_bitwise_the_same_in_any_batch(
    system: str, size: tuple[int, int]
) -> None:
    encoder = {} if system == "pixel" else {"encoder": "resnet18"}
    assert_same_in_any_batch(make_net(system, **encoder), *size, False)


def assert_same_in_any_batch(net: Segmenter, height: int, width: int, channels_last: bool) -> None:
    torch.manual_seed(height)
    x = torch.randn(4, 3, height, width)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole, pair = net(x), net(x[1:3])
        alone = torch.cat([net(image.clone()) for image in x.split(1)])
    assert torch.equal(whole, alone)
    assert torch.equal(whole[1:3], pair)


def test_features_keep_their_place_whatever_the_size() -> None:
    """A cut that is not a multiple of the stride moves nothing far from it."""
    net = make_net("fcn", channels=16).double()
    x = torch.randn(1, 3, 256, 32, dtype=torch.float64)
    with torch.inference_mode():
        whole, cut = net(x), net(x[:, :, :253])
    torch.testing.assert_close(
        cut[:, :, :16], whole[:, :, :16], rtol=0, atol=1e-5
    )  # a shift would be tenths


def test_auxiliary_logits_of_a_padded_image_lie_where_its_labels_do() -> None:
    net = make_net("ocrnet").train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    x = torch.randn(1, 3, 61, 47)
    padded = torch.nn.functional.pad(x, (0, 1, 0, 3), mode="replicate")
    with torch.no_grad():
        found, expected = net(x).aux["coarse"], net(padded).aux["coarse"]
    assert expected.shape[2:] == (64 // net.stride, 48 // net.stride)
    expected = torch.nn.functional.interpolate(
        expected, size=(64, 48), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(found, expected[:, :, :61, :47])


def test_logits_stay_float32_under_bfloat16_autocast() -> None:
    net = make_net()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(x)
    assert logits.dtype == torch.float32
    with torch.inference_mode():
        assert (logits.argmax(1) == net(x).argmax(1)).float().mean() > 0.9


def test_spec_names_all_switches_and_the_stride_that_was_found() -> None:
    spec = make_net(output_stride=None).spec
    assert spec.output_stride == 8
    assert spec.options == {
        "resizing": "own",
        "channels": 16,
        "prior_channels": 8,
        "norm": "relu",
        "fusion": "concat",
        "shared": True,
        "pixel": True,
        "region": True,
    }
    assert make_net("pixel").spec.output_stride == 1


def test_a_small_network_has_less_than_two_and_a_half_million_parameters() -> None:
    net = create_model(
        "hcnet",
        encoder="tu-mobilenetv3_small_050",
        classes=5,
        in_channels=4,
        channels=64,
        prior_channels=32,
    )
    assert sum(parameter.numel() for parameter in net.parameters()) < 2.5e6


@pytest.mark.parametrize(
    ("system", "encoder", "output_stride", "message"),
    [
        ("hcnet", "resnet1", None, "there is no encoder 'resnet1'; try resnet18"),
        ("hcnet", "tu-nosuch", None, "there is no encoder 'tu-nosuch'; try .*tu-NAME"),
        ("hcnet", "tu-vit_tiny_patch16_224", 32, "patches of 16 .* stride 32; .*give 16 or 8 or 4"),
        ("hcnet", "tu-hrnet_w18_small", 8, "runs at stride 4, not 8; leave output_stride out"),
        ("hcnet", "tu-vit_tiny_patch16_224", 1, "does not run at output stride 1; .*16 or 8 or 4"),
        ("hcnet", "resnet18", 7, "resnet18 does not run at output stride 7; .*give 8, 16 or 32"),
        ("fcn", "densenet121", 1, "densenet121 does not run at output stride 1; .*8, 16 or 32"),
        ("hcnet", "tu-vovnet39a_nosuch", None, "there is no encoder .*; try .*tu-NAME"),
        (
            "hcnet",
            "tu-maxvit_rmlp_pico_rw_256",
            None,
            "hcnet does not run with .*must be divisible",
        ),
        ("smp.unet", "resnet18", 8, "smp.unet runs at output stride 32, not 8; leave"),
        ("smp.deeplabv3", "resnet18", 32, "smp.deeplabv3 does not take encoder resnet18 .*8 or 16"),
        ("smp.linknet", "mit_b0", None, "smp.linknet does not take encoder mit_b0 .*choose"),
        ("pixel", "resnet18", None, "pixel takes the image itself"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_choose(
    system: str, encoder: str, output_stride: int | None, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        create_model(system, encoder=encoder, output_stride=output_stride, classes=4)


def test_an_image_with_other_bands_is_refused() -> None:
    with pytest.raises(ModelError, match="the image has 4 bands, the network takes 3"):
        make_net("pixel")(torch.zeros(1, 4, 8, 8))
