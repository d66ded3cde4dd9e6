"""``geoseg import``: the oracle is the network that the file was written from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from click.testing import CliRunner, Result
from safetensors import safe_open
from torch import Tensor, nn

import geoseg
from geoseg.cli import cli
from geoseg.models.encoder import build_encoder
from tests.importing.agreement import assert_within, settle

ENCODER = "tu-test_resnet"
FACTS: dict[str, Any] = {
    "bands": ["red", "green", "blue"],
    "value_range": (0, 255),
    "mean": [120, 110, 100],
    "std": [60, 50, 40],
}
CARD = """classes: [road, {name: roof, color: [200, 0, 0]}, grass]
bands: [red, green, blue]
value_range: [0, 255]
mean: [120, 110, 100]
std: [60, 50, 40]
window: 64
overlap: 16
ground_sampling: 0.5
license: CC-BY-4.0
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", *map(str, arguments)])


def make_fpn(classes: int = 3, **options: Any) -> Any:
    torch.manual_seed(0)
    small = {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32, **options}
    return settle(smp.FPN(ENCODER, encoder_weights=None, classes=classes, **small))


def image() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(1, 3, 64, 96)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card.yaml"
    path.write_text(CARD)
    return path


def test_a_folder_of_smp_becomes_a_model_file(tmp_path: Path, card: Path) -> None:
    net = make_fpn(aux_params={"classes": 7})
    net.save_pretrained(tmp_path / "fpn")
    out = tmp_path / "fpn.safetensors"
    result = call(tmp_path / "fpn", "--as", "smp", "--card", card, "--out", out)
    assert result.exit_code == 0, result.output
    model = geoseg.load_model(out)
    with torch.no_grad():
        assert_within(model.net(image()), net(image())[0])
    assert model.card.spec.system == "smp.fpn"
    assert model.card.spec.options["decoder_pyramid_channels"] == 16
    assert model.card.classes.names == ("road", "roof", "grass")
    assert model.card.classes.colors[1] == (200, 0, 0)
    stated = (model.card.window, model.card.overlap, model.card.ground_sampling)
    assert (stated, model.card.license) == ((64, 16, 0.5), "CC-BY-4.0")
    assert model.card.training["imported"]["file"] == "fpn"
    lines = result.output.splitlines()
    assert lines[0].split() == ["in", "the", "file", "in", "the", "network", "tensors"]
    assert any(line.startswith("classification_head ") for line in lines)
    assert lines[-2] == f"{out}: smp.fpn over {ENCODER}"
    assert lines[-1].endswith("used, 2 left out")


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "net"])
def test_a_state_dict_needs_its_architecture_and_every_tensor_is_told(
    tmp_path: Path, wrapper: str
) -> None:
    net = make_fpn()
    content = {f"module.model.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({wrapper: content, "epoch": 3}, tmp_path / "a.ckpt")
    out, facts = tmp_path / "a.safetensors", ["--as", "smp", "--mean", "120,110,100"]
    facts += ["--std", "60,50,40", "--value-range", "0,255", "--bands", "red,green,blue"]
    facts += ["--classes", "road, roof, grass"]
    result = call(tmp_path / "a.ckpt", *facts, "--out", out)
    assert "does not say its architecture: give --system smp.unet or the like" in result.stderr
    told = ["--system", "smp.fpn", "--encoder", ENCODER, "--option", "decoder_pyramid_channels=16"]
    told += ["--option", "decoder_segmentation_channels=32"]
    result = call(tmp_path / "a.ckpt", *facts, *told, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    names = [name for entry in document["table"] for name in entry["tensors"]]
    assert sorted(names) == sorted(net.state_dict())
    assert document["tensors"]["used"] == len(names)
    with torch.no_grad():
        assert_within(geoseg.load_model(out).net(image()), net(image()))


def test_one_channel_becomes_the_second_of_two_classes(tmp_path: Path) -> None:
    net = make_fpn(classes=1)
    net.save_pretrained(tmp_path / "fpn")
    geoseg.import_model(
        tmp_path / "fpn", "smp", tmp_path / "a.safetensors", classes=["other", "roof"], **FACTS
    )
    with torch.no_grad():
        found = geoseg.load_model(tmp_path / "a.safetensors").net(image()).softmax(1)[:, 1:]
        torch.testing.assert_close(found, net(image()).sigmoid())


def test_an_encoder_file_is_what_a_training_begins_with(tmp_path: Path) -> None:
    first = build_encoder(ENCODER, in_channels=4)
    settle(first)
    state = {name.removeprefix("model."): x for name, x in first.state_dict().items()}
    torch.save({**state, "model.fc.weight": torch.zeros(2, 2)}, tmp_path / "a.pth")
    out = tmp_path / "encoder.safetensors"
    result = call(tmp_path / "a.pth", "--as", "torchgeo", "--encoder", ENCODER, "--out", out)
    assert result.exit_code == 0, result.output
    assert "it classifies whole images" in result.output
    again = build_encoder(ENCODER, in_channels=4, weights=str(out)).state_dict()
    assert all(torch.equal(again[name], x) for name, x in first.state_dict().items())
    with safe_open(out, framework="pt") as file:
        told = json.loads(file.metadata()["geoseg_encoder"])
    assert (told["encoder"], told["as"], told["file"]) == (ENCODER, "torchgeo", "a.pth")


def test_what_is_missing_or_too_much_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    state = dict(make_fpn().state_dict())
    del state["segmentation_head.0.bias"]
    state["extra.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "a.pth")
    options = {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32}
    arguments: dict[str, Any] = {"system": "smp.fpn", "encoder": ENCODER, "options": options}
    arguments |= {"classes": ["a", "b", "c"], **FACTS}
    place = tmp_path / "a.pth", "smp", tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match=r"'extra.weight' is of no layer .* --leave-out extra$"):
        geoseg.import_model(*place, **arguments)
    with pytest.raises(ValueError, match=r"0.bias' is of smp.fpn .* not in the file; .* --initial"):
        geoseg.import_model(*place, **arguments, leave_out=["extra"])
    assert not place[2].exists()
    wishes: dict[str, Any] = {"leave_out": ["extra"], "initial": ["head.classify.0"]}
    report = geoseg.import_model(*place, **arguments, **wishes)
    assert report.data["tensors"]["left out"] == report.data["tensors"]["initial"] == 1


class Other:
    """Something that no weights file should hold."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "b"]}, "gives 3 classes, the card names 2 .a, b.; name 3 in the card"),
        ({"bands": ["red"], "mean": [1], "std": [1]}, "takes 3 bands, the card names 1 .red.; na"),
        ({"mean": None}, "nothing says the network's mean, and its tensors do not; give --card"),
        ({"mean": [1, 2]}, "its card makes no sense: mean has 2 entries, the network takes 3 b"),
        ({"encoder": None}, "its tensors do not say which encoder it has; give --encoder, such"),
        (
            {"encoder": "resnet18"},
            "and 27 more tensors are of no layer of smp.fpn over resnet18; ",
        ),
        (
            {"system": "smp.unet", "options": {}},
            "more tensors are of no layer of smp.unet over tu-test_resnet; give the --enc",
        ),
        ({"system": "unet"}, "there is no system 'unet'; there are hcnet"),
        ({"options": {}}, "'decoder..* is .*, 'head.decoder.* of smp.fpn over .* is .*; give the"),
        ({"options": {"dropout": 1}}, "smp.fpn has no option 'dropout'; it has decoder_"),
        ({"options": ["decoder"]}, "--option 'decoder': give NAME=VALUE, such as"),
        ({"origin": "openseg"}, "is no OCRNet of openseg.pytorch; its names ask for --as smp"),
        ({"origin": "torchgeo"}, "an encoder file has no card; leave --card .*networks of torch"),
        ({"origin": "keras"}, "--as keras: use smp, torchvision, openseg, hrnet-ocr,"),
        ({"out": "a.pth"}, "--out .*a.pth: a model file ends in .safetensors"),
        ({"file": "none.pth"}, "none.pth: no such file or folder; check the path"),
        ({"file": "."}, "lacks config.json or model.safetensors and pytorch_model.bin; give a"),
        ({"file": "code.pth"}, "holds more than tensors, and geoseg runs no code from weights"),
        ({"file": "other.pth"}, "is no network of segmentation-models-pytorch: it has no tensor"),
        ({"clases": 3}, "option 'clases' is unknown; did you mean classes"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    torch.save(make_fpn().state_dict(), tmp_path / "a.pth")
    torch.save({"x": Other()}, tmp_path / "code.pth")
    torch.save({"x": torch.zeros(3)}, tmp_path / "other.pth")
    options = {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32}
    given: dict[str, Any] = {"file": "a.pth", "origin": "smp", "out": "a.safetensors"}
    given |= {"system": "smp.fpn", "encoder": ENCODER, "options": options}
    given |= {"classes": ["a", "b", "c"], **FACTS, **change}
    for name in ("file", "out"):
        given[name] = tmp_path / given[name]
    with pytest.raises((geoseg.GeosegError), match=message) as caught:
        geoseg.import_model(**given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.safetensors").exists()


def test_what_exists_is_replaced_on_demand_only(tmp_path: Path, card: Path) -> None:
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    make_fpn().save_pretrained(tmp_path / "fpn")
    arguments = (tmp_path / "fpn", "--as", "smp", "--card", card, "--out", out)
    assert "exists; --overwrite replaces it" in call(*arguments).stderr
    assert out.read_text() == "mine"
    assert call(*arguments, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"activation": "sigmoid"}, "its activation 'sigmoid' is of classes that do not exclude"),
        ({"encoder_depth": 4}, "its encoder_depth is 4; geoseg builds smp.fpn with 5"),
        ({"_model_class": "Nothing"}, "its 'Nothing' is no model of segmentation-models-pytorch"),
    ],
)
def test_configurations_that_geoseg_does_not_build_are_refused(
    changed: dict[str, Any], message: str, tmp_path: Path, card: Path
) -> None:
    make_fpn().save_pretrained(tmp_path / "fpn")
    file = tmp_path / "fpn/config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    arguments = (tmp_path / "fpn", "--as", "smp", "--card", card)
    result = call(*arguments, "--out", tmp_path / "a.safetensors")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr


def test_encoders_that_are_dilated_in_another_way_are_refused(tmp_path: Path) -> None:
    state = {"decode_head.conv_seg.weight": torch.zeros(3, 8, 1, 1)}
    state["decode_head.convs.0.conv.weight"] = torch.zeros(8, 512, 3, 3)
    torch.save(state, tmp_path / "a.pth")
    place = tmp_path / "a.pth", "mmsegmentation", tmp_path / "a.safetensors"
    arguments: dict[str, Any] = {"classes": ["a", "b", "c"], **FACTS}
    with pytest.raises(ValueError, match=r"do not say at which stride .* --output-stride 8"):
        geoseg.import_model(*place, encoder="resnet18", **arguments)
    arguments["output_stride"] = 8
    with pytest.raises(ValueError, match=r"dilated in another way .* --encoder tu-resnet18, timm"):
        geoseg.import_model(*place, encoder="resnet18", **arguments)
    with pytest.raises(ValueError, match="ResNets of basic blocks are dilated in another way"):
        geoseg.import_model(*place, encoder="tu-resnet18", **arguments)


def test_modules_of_other_heads_are_named(tmp_path: Path) -> None:
    head = nn.ModuleDict({"conv_seg": nn.Conv2d(8, 3, 1), "gc_block": nn.Conv2d(8, 8, 1)})
    state = {f"decode_head.{name}": tensor for name, tensor in head.state_dict().items()}
    state["decode_head.convs.0.conv.weight"] = torch.zeros(8, 512, 3, 3)
    torch.save(state, tmp_path / "a.pth")
    place = tmp_path / "a.pth", "mmsegmentation", tmp_path / "a.safetensors"
    with pytest.raises(
        ValueError, match=r"'decode_head.gc_block.weight' and 1 more tensor are of no"
    ):
        geoseg.import_model(
            *place, encoder="tu-resnet18", output_stride=32, classes=["a", "b", "c"], **FACTS
        )
