from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import geoseg
from geoseg.classes import ClassScheme
from geoseg.errors import ModelError, OutputError
from geoseg.models import (
    Card,
    Segmenter,
    create_model,
    load_card,
    load_model,
    save_model,
    write_model,
)
from geoseg.models.modelfile import _wanted_shapes
from geoseg.models.named import SHIPPED

from .conftest import make_net

FACTS: dict[str, Any] = {
    "classes": ["road", "roof", "tree", "car"],
    "bands": ["red", "green", "blue"],
    "value_range": (0, 255),
    "mean": [100, 110, 120],
    "std": [50, 60, 70],
}


@pytest.fixture
def net() -> Segmenter:
    return make_net("hcnet")


@pytest.fixture
def saved(net: Segmenter, tmp_path: Path) -> Path:
    return save_model(net, tmp_path / "model.safetensors", **FACTS)


def test_a_loaded_model_gives_the_same_logits_and_facts(net: Segmenter, tmp_path: Path) -> None:
    path = save_model(
        net.train(), tmp_path / "a.safetensors", **FACTS, ground_sampling=0.1, training={"steps": 9}
    )
    model = load_model(path)
    x = torch.randn(1, 3, 40, 50)
    assert torch.equal(model.net(x), net.eval()(x))
    assert not model.net.training
    assert model.net.spec == net.spec == model.card.spec
    assert model.card.classes == ClassScheme.from_names(FACTS["classes"])
    assert (model.card.mean, model.card.ground_sampling, model.card.training) == (
        (100, 110, 120),
        0.1,
        {"steps": 9},
    )
    assert model.path == path
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_card(path) == model.card


@pytest.mark.parametrize("system", ["pixel", "ocrnet", "smp.unet", "smp.deeplabv3plus"])
def test_every_kind_of_system_comes_back(system: str, tmp_path: Path) -> None:
    net = make_net(system)
    path = save_model(net, tmp_path / "a.safetensors", **FACTS)
    x = torch.randn(1, 3, 33, 33)
    assert torch.equal(load_model(path).net(x), net(x))


def test_tied_and_channels_last_tensors_are_saved(net: Segmenter, tmp_path: Path) -> None:
    net = net.to(memory_format=torch.channels_last)
    pixel, region = net.head.pixel, net.head.region.attention
    pixel.query.weight = region.query.weight
    path = save_model(net, tmp_path / "a.safetensors", **FACTS)
    tensors = load_file(path)
    assert torch.equal(
        tensors["head.pixel.query.weight"], tensors["head.region.attention.query.weight"]
    )
    x = torch.randn(1, 3, 40, 40)
    torch.testing.assert_close(load_model(path).net(x), net(x), rtol=1e-4, atol=1e-4)


def test_a_file_of_halves_is_half_as_large_and_computes_in_float32(
    net: Segmenter, saved: Path, tmp_path: Path
) -> None:
    half = save_model(net, tmp_path / "half.safetensors", **FACTS, half=True)
    assert half.stat().st_size < 0.55 * saved.stat().st_size
    model = load_model(half)
    assert {weights.dtype for weights in model.net.parameters()} == {torch.float32}
    with torch.no_grad():
        for weights in net.parameters():
            if weights.ndim > 1:
                weights.copy_(weights.half())
    x = torch.randn(1, 3, 40, 50)
    assert torch.equal(model.net(x), net(x))
    again = write_model(model.net, model.card, tmp_path / "again.safetensors", half=True)
    assert load_file(again).keys() == load_file(half).keys()
    assert again.read_bytes() == half.read_bytes(), "rounded once"


def test_the_file_is_safetensors_with_a_json_card(saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        card = json.loads(file.metadata()["geoseg"])
    assert card["format"] == 1
    assert card["spec"]["system"] == "hcnet"


def test_a_write_that_fails_leaves_the_existing_file_alone(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full_disk(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match=r"cannot be written .*No space left"):
        save_model(make_net("pixel"), saved, **FACTS)
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_the_file_is_readable_by_others(saved: Path) -> None:
    plain = saved.parent / "plain"
    plain.touch()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": ["red"]}, "bands has 1 entries, the network takes 3 bands"),
        ({"classes": ["road"]}, "1 classes are named, the network has 4"),
        ({"mean": [1, 2]}, "mean has 2 entries"),
        ({"value_range": (0, 1, 2)}, r"value_range: .* holds 3 entries; give 2"),
        (
            {"colors": [(0, 0, 0)] * 4, "classes": ClassScheme.from_names(list("abcd"))},
            "leave them out",
        ),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        save_model(make_net("pixel"), tmp_path / "a.safetensors", **{**FACTS, **change})
    assert not list(tmp_path.iterdir())


def test_value_range_mean_and_std_have_no_defaults(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'value_range', 'mean', and 'std'"):
        save_model(
            make_net("pixel"), tmp_path / "a.safetensors", classes=list("abcd"), bands=list("rgb")
        )  # type: ignore[call-arg]


def test_a_card_of_another_network_and_another_suffix_are_refused(
    saved: Path, tmp_path: Path
) -> None:
    card: Card = load_card(saved)
    with pytest.raises(
        ModelError, match=r"the card describes another network .* make the card from net.spec"
    ):
        write_model(make_net("pixel"), card, tmp_path / "b.safetensors")
    with pytest.raises(
        ModelError, match=r"a model file ends in \.safetensors; name it b\.safetensors"
    ):
        write_model(make_net("pixel"), card, tmp_path / "b.pth")


def test_a_file_that_is_not_a_model_is_refused_in_one_line(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    bad = {
        "empty": (b"", "not a safetensors file; give a model file written by geoseg"),
        "text": (b"hello, I am a text file", "not a safetensors file"),
        "header": (whole[:200], r"damaged or cut short \(.*\); copy or download it again"),
        "cut": (whole[:-1], r"damaged or cut short \(.*\); copy or download it again"),
    }
    for name, (content, message) in bad.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=message) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(
        ModelError,
        match=r"nowhere.safetensors: cannot be read \(No such file or directory\); give a",
    ):
        load_model(tmp_path / "nowhere.safetensors")


def rewritten(saved: Path, card: str | None = None, **tensors: torch.Tensor | None) -> Path:
    """The file with tensors put in or taken out, under its own card or another."""
    with safe_open(saved, "pt") as file:
        metadata = file.metadata()
    content = {**load_file(saved), **tensors}
    kept = {name: tensor for name, tensor in content.items() if tensor is not None}
    path = saved.with_name("rewritten.safetensors")
    save_file(kept, path, metadata={"geoseg": card if card is not None else metadata["geoseg"]})
    return path


def test_tensors_that_are_not_the_networks_are_refused(saved: Path) -> None:
    name = "head.classify.conv.weight"
    with pytest.raises(
        ModelError, match=f"lacks tensor '{name}' of its network; save the model again"
    ):
        load_model(rewritten(saved, **{name: None}))
    with pytest.raises(
        ModelError, match=rf"tensor '{name}' is \(1,\), its network needs \(4, 16, 1, 1\)"
    ):
        load_model(rewritten(saved, **{name: torch.zeros(1)}))
    with pytest.raises(ModelError, match="has tensor 'extra', which its network does not"):
        load_model(rewritten(saved, extra=torch.zeros(1)))


def test_a_file_without_a_card_or_from_a_newer_geoseg_is_refused(
    saved: Path, tmp_path: Path
) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(
        ModelError, match="holds tensors but no geoseg card; give a file written by geoseg"
    ):
        load_model(tmp_path / "plain.safetensors")
    with safe_open(saved, "pt") as file:
        card = json.loads(file.metadata()["geoseg"])
    with pytest.raises(ModelError, match="format 99, this geoseg reads up to 1; upgrade geoseg"):
        load_model(rewritten(saved, json.dumps({**card, "format": 99})))
    card["spec"]["system"] = "laternet"
    with pytest.raises(ModelError, match="there is no system 'laternet'"):
        load_model(rewritten(saved, json.dumps(card)))
    card["spec"].update(system="hcnet", encoder="resnet9000")
    with pytest.raises(
        ModelError, match="its network cannot be built: there is no encoder 'resnet9000'"
    ):
        load_model(rewritten(saved, json.dumps(card)))


def test_no_flipped_bit_gives_another_model(tmp_path: Path) -> None:
    saved = save_model(make_net("pixel"), tmp_path / "a.safetensors", **FACTS)
    whole, rng = saved.read_bytes(), random.Random(0)
    before = load_model(saved)
    refused = 0
    for _ in range(300):
        bit = rng.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        saved.write_bytes(damaged)
        try:
            model = load_model(saved)
        except ModelError as error:
            refused += "\n" not in str(error)
            continue
        assert model.card == before.card
        found, expected = (each.net.state_dict().values() for each in (model, before))
        assert all(map(torch.equal, found, expected))
    assert refused > 280


def test_the_model_that_ships_has_a_checksum_too(tmp_path: Path) -> None:
    shipped = Path(geoseg.__file__).parent / "data/demo.safetensors"
    damaged = bytearray(shipped.read_bytes())
    damaged[-1000] ^= 1
    (tmp_path / "a.safetensors").write_bytes(damaged)
    with pytest.raises(ModelError, match=r"damaged or cut short \(its checksum does not fit\)"):
        load_model(tmp_path / "a.safetensors")
    assert load_model(shipped).card.classes.names[0]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_older_than_an_option_can_be_written_again(name: str, tmp_path: Path) -> None:
    model = load_model(name)
    again = load_model(write_model(model.net, model.card, tmp_path / "again.safetensors"))
    assert again.card == model.card
    assert again.card.spec == model.net.spec


def test_a_file_of_another_program_needs_no_checksum(saved: Path) -> None:
    card = load_model(saved).card
    assert load_model(rewritten(saved, card.to_json())).card == card


def test_the_same_network_under_the_same_card_is_the_same_file(tmp_path: Path) -> None:
    net = make_net("pixel")
    files = [save_model(net, tmp_path / f"{number}.safetensors", **FACTS) for number in range(8)]
    assert len({file.read_bytes() for file in files}) == 1


VALUES: list[Any] = [
    *(None, True, 0, -1, 2.5, 10**9, 10**30, math.inf, math.nan),
    *("", "x", "\ud800", "a\nb", "/etc/passwd", [], [1], ["a"], [[[]]], {}, {"a": 1}, [0] * 300),
]


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys and positions that lead to each value inside a document."""
    entries = dict(enumerate(node)) if isinstance(node, list) else node
    for key, value in entries.items() if isinstance(entries, dict) else ():
        yield (*at, key)
        yield from places(value, (*at, key))


def with_value(node: Any, at: tuple[Any, ...], value: Any) -> Any:
    """A copy of a document with one value replaced."""
    if not at:
        return value
    copied = copy.copy(node)
    copied[at[0]] = with_value(node[at[0]], at[1:], value)
    return copied


@pytest.mark.parametrize(
    ("system", "encoder", "options"),
    [
        ("pixel", None, {}),
        ("hcnet", "tu-test_resnet", {"channels": 8, "prior_channels": 4}),
        pytest.param("apcnet", "tu-test_resnet", {"channels": 8}, marks=pytest.mark.slow),
        pytest.param(
            "smp.unet",
            "tu-test_resnet",
            {"decoder_channels": (8, 8, 8, 4, 4)},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_no_value_in_a_card_ends_in_anything_but_one_line(
    system: str, encoder: str | None, options: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = create_model(system, encoder=encoder, classes=4, **options)
    saved = save_model(net, tmp_path / "a.safetensors", **FACTS, training={"steps": [3, {"a": 1}]})
    with safe_open(saved, "pt") as file:
        card = json.loads(file.metadata()["geoseg"])
    tensors, path = load_file(saved), tmp_path / "b.safetensors"
    # What is not of this system is tried with `pixel`, which is built at once.
    kept = [at for at in places(card) if system == "pixel" or at[0] == "spec"]
    for at in kept:
        for value in VALUES:
            text = json.dumps(with_value(card, at, value))
            save_file(tensors, path, {"geoseg": text})
            try:
                model = load_model(path)
            except ModelError as error:
                message = str(error).encode().decode()  # can be printed
                assert "\n" not in message, (at, value)
                assert len(message.replace(str(path), "")) < 700, (at, value)
            else:
                assert model.net.state_dict().keys() == tensors.keys()


def test_a_width_that_no_memory_holds_is_refused_by_the_shapes_in_the_file(saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        card = json.loads(file.metadata()["geoseg"])
    for width, message in ((10**9, "option channels=1000000000: it should be"), (65_536, "needs")):
        card["spec"]["options"]["channels"] = width
        with pytest.raises(ModelError, match=message):
            load_model(rewritten(saved, json.dumps(card)))


@pytest.mark.parametrize("encoder", ["mit_b0", "tu-test_resnet", "efficientnet-b0"])
def test_shapes_are_known_before_a_network_is_built(encoder: str, tmp_path: Path) -> None:
    net = create_model("fcn", encoder=encoder, classes=4, output_stride=None)
    path = save_model(net, tmp_path / "a.safetensors", **FACTS)
    with safe_open(path, "pt") as file:
        names = file.keys()
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    assert _wanted_shapes(path, net.spec) == shapes


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    net = create_model("hcnet", encoder="resnet18", classes=2, channels=8, prior_channels=8)
    path = save_model(
        net,
        tmp_path / "m.safetensors",
        classes=["a", "b"],
        bands=["red", "green", "blue"],
        value_range=(0, 255),
        mean=[0.0] * 3,
        std=[1.0] * 3,
    )
    before = torch.get_rng_state()
    loaded = load_model(path).net.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in net.state_dict().items())
