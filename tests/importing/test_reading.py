"""Whole networks: the logits of published networks with the weights of their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from geoseg.classes import ClassScheme
from geoseg.errors import ModelError
from geoseg.importing.formats import Stated
from geoseg.importing.placing import Wishes, summary
from geoseg.importing.reading import read_encoder, read_model
from geoseg.models.encoder import build_encoder
from tests.importing import published
from tests.importing.agreement import CLASSES, assert_within, settle
from tests.importing.published_backbones import HRNet, ResNet50
from tests.importing.published_isnet import ISNet
from tests.importing.published_ocr import HRNetOCR, OpensegOCR

NAMES = ClassScheme.from_names([f"c{number}" for number in range(CLASSES)])
BANDS = ["red", "green", "blue"]
W18_SMALL = ((16, 32, 64, 128), 32, 1, (1, 1, 1), 2)


def image(*size: int) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(2, 3, *size)


def published_logits(backbone: nn.Module, head: nn.Module, x: Tensor, corners: bool) -> Tensor:
    with torch.no_grad():
        logits = head(backbone(x))
        return F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=corners)


def test_ocrnet_over_hrnet_is_the_released_network(tmp_path: Path) -> None:
    backbone = settle(HRNet(*W18_SMALL, align_corners=True))
    head = settle(HRNetOCR(240, 16, 8, CLASSES), 1)
    state = {**backbone.state_dict(), **head.state_dict()}
    content = {f"model.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": {**content, "loss.criterion.weight": torch.ones(5)}}, tmp_path / "a")
    stated = Stated(encoder="tu-hrnet_w18_small")
    net, entries, origin = read_model("hrnet-ocr", tmp_path / "a", stated, Wishes(), NAMES, BANDS)
    x = image(64, 96)
    with torch.no_grad():
        assert_within(net(x), published_logits(backbone, head, x, corners=True))
    assert (net.spec.preset, net.spec.output_stride) == ("released", 4)
    assert sum(summary(entries).values()) == len(content) + 1
    assert (origin["file"], origin["as"], len(origin["sha256"])) == ("a", "hrnet-ocr", 64)


def test_fcn_over_hrnet_is_mmsegmentations(tmp_path: Path) -> None:
    backbone = settle(HRNet(*W18_SMALL, align_corners=False))
    head = settle(published.FCN(240, 16, CLASSES, 1, concat=False), 1)
    state = {
        **{f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()},
        **{f"decode_head.{name}": tensor for name, tensor in head.state_dict().items()},
    }
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "a.pth")
    stated = Stated(encoder="tu-hrnet_w18_small")
    net, *_ = read_model("mmsegmentation", tmp_path / "a.pth", stated, Wishes(), NAMES, BANDS)
    x = image(32, 64)
    with torch.no_grad():
        assert_within(net(x), published_logits(backbone, head, x, corners=False))


@pytest.mark.slow
def test_ocrnet_over_hrnet_w48_is_the_released_network(tmp_path: Path) -> None:
    backbone = settle(HRNet((48, 96, 192, 384), 64, 4, (1, 4, 3), 4, align_corners=True))
    head = settle(HRNetOCR(720, 512, 256, CLASSES), 1)
    torch.save({**backbone.state_dict(), **head.state_dict()}, tmp_path / "a.pth")
    stated = Stated(encoder="tu-hrnet_w48")
    net, *_ = read_model("hrnet-ocr", tmp_path / "a.pth", stated, Wishes(), NAMES, BANDS)
    x = image(64, 96)
    with torch.no_grad():
        assert_within(net(x), published_logits(backbone, head, x, corners=True))


HEADS: dict[str, tuple[str, nn.Module, str]] = {
    "apc": ("mmsegmentation", published.APC(2048, 32, CLASSES, (1, 2, 3, 6)), "decode_head."),
    "ocr": ("mmsegmentation", published.OCR(1024, 2048, 32, 16, CLASSES), "decode_head."),
    "psp": ("mmsegmentation", published.PSP(2048, 32, CLASSES), "decode_head."),
    "isnet": ("sssegmentation", ISNet(1024, 2048, 32, 16, CLASSES), ""),
    "openseg": ("openseg", OpensegOCR(1024, 2048, 32, 16, CLASSES), ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("stem", [(64,), (32, 32, 64)], ids=["plain", "deep"])
def test_networks_over_resnet50_give_the_published_logits(
    name: str, stem: Sequence[int], tmp_path: Path
) -> None:
    kind, head, prefix = HEADS[name]
    openseg = kind == "openseg"
    if openseg and len(stem) == 3:
        stem = (64, 64, 128)
    backbone = settle(ResNet50(stem, ceil=openseg))
    settle(head, 1)
    own = "backbone_net." if kind == "sssegmentation" else "backbone."
    state = {f"{own}{name}": tensor for name, tensor in backbone.named().items()}
    state |= {f"{prefix}{name}": tensor for name, tensor in head.state_dict().items()}
    torch.save({"model": state}, tmp_path / "a.pth")
    letter = {1: "", 32: "c", 64: "s"}[1 if len(stem) == 1 else stem[0]]
    stated = Stated(encoder=f"tu-resnet50{letter}", output_stride=8)
    net, *_ = read_model(kind, tmp_path / "a.pth", stated, Wishes(), NAMES, BANDS)
    x = image(64, 96)
    with torch.no_grad():
        assert_within(net(x), published_logits(backbone, head, x, corners=openseg))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50"])
def test_networks_of_torchvision_give_their_logits(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    oracle = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True
    )
    settle(oracle)
    torch.save(oracle.state_dict(), tmp_path / "a.pth")
    stated = Stated(encoder="tu-resnet50", output_stride=8)
    net, *_ = read_model("torchvision", tmp_path / "a.pth", stated, Wishes(), NAMES, BANDS)
    x = image(64, 96)
    with torch.no_grad():
        assert_within(net(x), oracle(x)["out"])


@pytest.mark.parametrize(
    ("model", "encoder"),
    [
        ("resnet18", "resnet18"),
        ("resnet18", "tu-resnet18"),
        ("mobilenet_v2", "mobilenet_v2"),
        pytest.param("vgg11_bn", "vgg11_bn", marks=pytest.mark.slow),
        pytest.param("densenet121", "densenet121", marks=pytest.mark.slow),
        pytest.param("convnext_tiny", "tu-convnext_tiny", marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", "tu-efficientnet_b0", marks=pytest.mark.slow),
        pytest.param("resnext50_32x4d", "tu-resnext50_32x4d", marks=pytest.mark.slow),
    ],
)
def test_encoders_of_torchvision_give_its_features(
    model: str, encoder: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    oracle = settle(torchvision.models.get_model(model, weights=None))
    torch.save(oracle.state_dict(), tmp_path / "a.pth")
    read, entries, _ = read_encoder(
        "torchvision", tmp_path / "a.pth", Stated(encoder=encoder), Wishes(), asked=False
    )
    own = build_encoder(encoder, output_stride=32)
    own.load_state_dict(read.state_dict())
    x = image(64, 96)
    with torch.no_grad():
        expected = deepest(oracle, x)
        found = own.eval()(x)[-1]
    assert_within(found, expected)
    assert sum(summary(entries).values()) == len(oracle.state_dict())


def deepest(model: nn.Module, x: Tensor) -> Tensor:
    """The last map of torchvision's classifier that an encoder of this family gives."""
    if hasattr(model, "layer4"):
        x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        return model.layer4(model.layer3(model.layer2(model.layer1(x))))
    features = model.features
    if isinstance(model, torchvision.models.EfficientNet):
        features = features[:-1]
    out: Tensor = features(x)
    return out


def test_an_encoder_of_other_bands_is_one_of_these(tmp_path: Path) -> None:
    stem = "model.model.conv1.0.weight"
    state = build_encoder("tu-test_resnet", in_channels=13).state_dict()
    content = {name.replace("model.model", "backbone"): tensor for name, tensor in state.items()}
    torch.save(content, tmp_path / "a.pth")
    stated = Stated(encoder="tu-test_resnet")
    encoder, _, _ = read_encoder("torchgeo", tmp_path / "a.pth", stated, Wishes(), asked=False)
    assert torch.equal(encoder.state_dict()[stem], state[stem])


def test_an_encoder_that_is_asked_for_leaves_the_head(tmp_path: Path) -> None:
    backbone, head = HRNet(*W18_SMALL), HRNetOCR(240, 16, 8, CLASSES)
    torch.save({**backbone.state_dict(), **head.state_dict()}, tmp_path / "a.pth")
    stated = Stated(encoder="tu-hrnet_w18_small")
    encoder, entries, _ = read_encoder(
        "hrnet-ocr", tmp_path / "a.pth", stated, Wishes(), asked=True
    )
    found = encoder.state_dict()
    assert all(torch.equal(found[f"model.{n}"], x) for n, x in backbone.state_dict().items())
    assert summary(entries)["left out"] == len(head.state_dict())
    with pytest.raises(ModelError, match="is a whole network; give --card, or --encoder-only"):
        read_encoder("hrnet-ocr", tmp_path / "a.pth", stated, Wishes(), asked=False)
