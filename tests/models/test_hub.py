from __future__ import annotations

import logging
from typing import Any

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp

from geoseg.errors import ModelError
from geoseg.models import create_model
from geoseg.models.encoder import build_encoder
from geoseg.models.hub import pretrained_argument


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
