from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geoseg.errors import OutputError
from geoseg.models import create_model
from geoseg.training import state
from geoseg.training.optimizer import make_optimizer
from geoseg.training.recipe import Recipe
from geoseg.training.state import load_state, random_state, save_state


def trained(optimizer_name: str, steps: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = create_model("pixel", classes=2).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(net, Recipe(optimizer=optimizer_name))  # type: ignore[arg-type]
    learn(net, optimizer, steps)
    return net, optimizer


def learn(net: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(1, 3, 4, 4)).logits.square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, name: str) -> None:
    net, optimizer = trained(name, 3)
    save_state(
        tmp_path / "last.safetensors", {"net": net}, optimizer, {"step": 3}, [random_state()]
    )
    learn(net, optimizer, 3)
    other, other_optimizer = trained(name, 0)
    assert load_state(tmp_path / "last.safetensors", {"net": other}, other_optimizer) == {"step": 3}
    learn(other, other_optimizer, 3)
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_state_before_the_first_step_is_fine(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 0)
    save_state(
        tmp_path / "last.safetensors", {"net": net}, optimizer, {"step": 0}, [random_state()]
    )
    other, other_optimizer = trained("sgd", 1)
    assert load_state(tmp_path / "last.safetensors", {"net": other}, other_optimizer) == {"step": 0}
    assert not other_optimizer.state
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_full_disk_leaves_the_previous_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, optimizer = trained("sgd", 1)
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": net}, optimizer, {"step": 1}, [random_state()])
    (plain := tmp_path / "plain").touch()
    assert (
        path.stat().st_mode == plain.stat().st_mode
    )  # whoever may read other files of the folder may go on
    plain.unlink()

    def full(tensors: object, target: Path, metadata: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(
        OutputError, match=r"cannot be written .*No space left.*; begin again when there is room"
    ):
        save_state(
            tmp_path / "first.safetensors", {"net": net}, optimizer, {"step": 2}, [random_state()]
        )
    with pytest.raises(
        OutputError, match=r"cannot be written .*No space left.*; the previous one stands"
    ):
        save_state(path, {"net": net}, optimizer, {"step": 2}, [random_state()])
    assert load_state(path, {"net": net}, optimizer) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_hold_no_state_are_refused(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 0)
    path = tmp_path / "last.safetensors"
    with pytest.raises(OutputError, match="no readable training state"):
        load_state(path, {"net": net}, optimizer)
    path.write_bytes(b"torn")
    with pytest.raises(OutputError, match="no readable training state"):
        load_state(path, {"net": net}, optimizer)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(OutputError, match="not the state of a geoseg training"):
        load_state(path, {"net": net}, optimizer)


def test_another_networks_state_is_refused(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 1)
    save_state(tmp_path / "last.safetensors", {"net": net}, optimizer, {}, [random_state()])
    other = create_model("pixel", classes=3)
    with pytest.raises(OutputError, match="the state of another network; start anew"):
        load_state(tmp_path / "last.safetensors", {"net": other}, make_optimizer(other, Recipe()))
