from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geoseg.errors import ModelError
from geoseg.importing.checkpoint import open_checkpoint


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module._orig_mod.", "net."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_names_are_the_networks_own_whatever_it_was_wrapped_in(
    prefix: str, suffix: str, tmp_path: Path
) -> None:
    content = {f"{prefix}{name}": torch.ones(2) for name in ("head.weight", "stem.weight")}
    content["criterion.weight"] = torch.ones(3)
    path = tmp_path / f"a{suffix}"
    save_file(content, path) if suffix == ".safetensors" else torch.save(content, path)
    file = open_checkpoint(path).unwrapped(["nothing", "head.weight"], "network")
    assert set(file.tensors) == {"head.weight", "stem.weight"}
    assert file.outside == ("criterion.weight",)


def test_what_is_no_tensor_is_told(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(2), "epoch": 3}, tmp_path / "a.pth")
    assert open_checkpoint(tmp_path / "a.pth").unwrapped(["a.weight"], "x").outside == ("epoch",)


def test_a_file_without_the_names_is_refused_with_those_it_has(tmp_path: Path) -> None:
    torch.save({"some.head.weight": torch.ones(2)}, tmp_path / "a.pth")
    message = (
        r"a.pth: is no FCN: it has no tensor 'head.weight' or 'b', but others such as "
        r"'some.head.weight'; give --as what it is"
    )
    with pytest.raises(ModelError, match=message):
        open_checkpoint(tmp_path / "a.pth").unwrapped(["head.weight", "b"], "FCN")


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(2), "a": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"holds module.a and a, of two networks; save one of"):
        open_checkpoint(tmp_path / "a.pth").unwrapped(["a"], "network")


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_configuration_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"config.json: .*; save the model again"):
        open_checkpoint(tmp_path)
