from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.models import Segmenter, create_model, save_model
from geoseg.training.initial_weights import fit_bands, start_from

Save = Callable[..., Path]
BANDS = ("red", "green", "blue")


def make(system: str = "hcnet", classes: int = 3, bands: int = 3, **options: Any) -> Segmenter:
    options_of = {"hcnet": {"channels": 16, "prior_channels": 8}, "fcn": {"channels": 16}}[system]
    return create_model(
        system,
        encoder="tu-test_resnet",
        classes=classes,
        in_channels=bands,
        **{**options_of, **options},
    )


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """A model of three classes and bands whose every number is known."""
    net = make()
    path = save_model(
        net, tmp_path / "old.safetensors", classes=["a", "b", "c"], bands=BANDS,
        value_range=(0, 255),
        mean=[1, 2, 3], std=[1, 1, 1],
    )  # fmt: skip
    return path, net.state_dict()


def changed(net: Segmenter, theirs: dict[str, torch.Tensor]) -> set[str]:
    return {
        name for name, tensor in net.state_dict().items() if not torch.equal(tensor, theirs[name])
    }


def test_the_same_classes_and_bands_take_everything_over(
    saved: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    path, theirs = saved
    net = make()
    assert start_from(path, net, ["a", "b", "c"], BANDS) == f"weights from {path}"
    assert changed(net, theirs) == set()


@pytest.mark.parametrize("classes", [["a", "c", "b"], ["road", "roof"], list("abcde")])
def test_other_classes_get_fresh_classifiers(
    saved: tuple[Path, dict[str, torch.Tensor]], classes: Sequence[str]
) -> None:
    path, theirs = saved
    net = make(classes=len(classes))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    line = start_from(path, net, classes, BANDS)
    kept = {
        name
        for name, tensor in before.items()
        if tensor.shape[:1] == (len(classes),) and tensor.ndim > 0
    }
    assert kept
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name] if name in kept else theirs[name])
    assert f"classifiers left fresh ({', '.join(classes)} instead of a, b, c)" in line


def test_other_bands_fit_the_first_convolution(saved: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, theirs = saved
    net = make(bands=4)
    line = start_from(path, net, ["a", "b", "c"], ["nir", "blue", "red", "green"])
    new = {
        name: tensor
        for name, tensor in net.state_dict().items()
        if tensor.shape != theirs[name].shape
    }
    assert len(new) == 1
    name, tensor = new.popitem()
    expected = [theirs[name].mean(1), *(theirs[name][:, index] for index in (2, 0, 1))]
    torch.testing.assert_close(tensor, torch.stack(expected, 1))
    assert "first convolution fitted to bands nir, blue, red, green (from red, green, blue)" in line
    net(torch.zeros(2, 4, 32, 32))


def test_bands_without_a_known_name_keep_their_places() -> None:
    weight = torch.randn(2, 3, 1, 1)
    assert torch.equal(fit_bands(weight, BANDS, ["nir", "swir", "dem"]), weight)
    torch.testing.assert_close(fit_bands(weight, BANDS, ["pan"]), weight.mean(1, keepdim=True))
    assert torch.equal(fit_bands(weight, BANDS, ["blue", "red", "green"]), weight[:, [2, 0, 1]])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            make("fcn"),
            r"model\.start_from: .*old\.safetensors has system hcnet, the config fcn; give the",
        ),
        (make(channels=32), r"differs in 'head\..*'; give model\.options as it was trained with"),
    ],
)
def test_models_of_another_make_are_refused(
    saved: tuple[Path, dict[str, torch.Tensor]], net: Segmenter, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        start_from(saved[0], net, ["a", "b", "c"], BANDS)
