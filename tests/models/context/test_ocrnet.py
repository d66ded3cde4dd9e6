from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch._subclasses import FakeTensorMode

from geoseg.models import create_model
from geoseg.models.context.ocrnet import OCRNetHead


@pytest.mark.parametrize("preset", OCRNetHead.presets)
def test_head_equals_equations_3_to_6(preset: str) -> None:
    torch.manual_seed(0)
    head = OCRNetHead((6, 10), 4, preset, channels=12, key_channels=8).eval().double()
    middle, deep = (
        torch.randn(2, 6, 5, 7, dtype=torch.float64),
        torch.randn(2, 10, 5, 7, dtype=torch.float64),
    )
    coarse, x = head.coarse(middle), head.reduce(deep)
    f = torch.einsum("nkhw,nchw->nck", coarse.flatten(2).softmax(2).reshape(coarse.shape), x)[
        ..., None
    ]
    relation = torch.einsum("ndhw,ndk->nhwk", head.phi(x), head.psi(f)[..., 0]) * (
        1 if preset == "paper" else 8**-0.5
    )
    y = head.rho(torch.einsum("nhwk,ndk->ndhw", relation.softmax(3), head.delta(f)[..., 0]))
    expected = head.classify(head.g(torch.cat([x, y], 1)))
    outputs = head([middle, deep])
    torch.testing.assert_close(outputs.logits, expected, rtol=1e-10, atol=1e-10)
    assert torch.equal(outputs.aux["coarse"], coarse)


def test_presets_have_the_parameters_of_text_and_code() -> None:
    def millions(preset: str) -> float:
        head = OCRNetHead((1024, 2048), 19, preset)
        apart = {id(p) for part in (head.classify, head.coarse) for p in part.parameters()}
        return sum(p.numel() for p in head.parameters() if id(p) not in apart) / 1e6

    assert round(millions("paper"), 1) == 10.5  # as printed in the paper's table 4
    assert round(millions("geoseg"), 1) == 10.5
    assert round(millions("released"), 2) == 10.62


def test_hrnet_gives_one_map_of_720_channels_for_regions_and_pixels() -> None:
    with FakeTensorMode():  # sizes alone
        net = create_model("ocrnet", encoder="tu-hrnet_w48", classes=19)
        outputs = net(torch.empty(2, 3, 64, 96))
    assert net.stride == 4
    assert net.head.coarse.conv.in_channels == net.head.reduce[0].in_channels == 720
    assert outputs.logits.shape == (2, 19, 64, 96)
    assert outputs.aux["coarse"].shape == (2, 19, 16, 24)


def test_released_over_one_map_of_720_channels_has_hrnets_coarse_head() -> None:
    with FakeTensorMode():
        net = create_model("ocrnet", encoder="tu-hrnet_w48", classes=19, preset="released")
    (conv, norm, _), classify = net.head.coarse
    assert (conv.kernel_size, conv.in_channels, conv.out_channels) == ((1, 1), 720, 720)
    assert (norm.num_features, classify.conv.in_channels, classify.dropout.p) == (720, 720, 0)
    assert (net.spec.options["coarse"], net.spec.options["resizing"]) == ("pointwise", "openseg")


def test_the_convolution_before_the_coarse_logits_has_a_width_of_its_own() -> None:
    (conv, *_), classify = OCRNetHead((6, 10), 4, "released", coarse_channels=5).coarse
    assert conv.weight.shape == (5, 6, 3, 3)
    assert classify.conv.in_channels == 5


def test_atrous_pyramid_makes_the_pixels_on_request() -> None:
    head = OCRNetHead((6, 10), 4, channels=12, key_channels=8, pixels="aspp")
    pyramid, fuse = head.reduce
    assert [branch[0].out_channels for branch in pyramid.branches] == [8] * 4
    assert (fuse[0].in_channels, fuse[0].out_channels) == (40, 12)


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(OCRNetHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "key_channels": 256,
        "scale": True,
        "relation": "one",
        "coarse": "linear",
        "coarse_channels": None,
        "pixels": "conv",
        "dropout": 0.0,
    }
    changed = (
        asdict(OCRNetHead.presets["paper"]).items() - asdict(OCRNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {"scale": False}
    changed = (
        asdict(OCRNetHead.presets["released"]).items()
        - asdict(OCRNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {
        "relation": "two",
        "coarse": "conv",
        "dropout": 0.05,
        "resizing": "openseg",
    }
    assert (OCRNetHead.name, OCRNetHead.stages) == ("ocrnet", 2)
    assert OCRNetHead.aux_weights == {"coarse": 0.4}
