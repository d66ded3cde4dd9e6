from __future__ import annotations

import errno
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

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
    train(net, optimizer, steps)
    return net, optimizer


def train(net: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(1, 3, 4, 4)).logits.square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_loaded_state_continues_bit_for_bit(tmp_path: Path, name: str) -> None:
    net, optimizer = trained(name, 3)
    save_state(
        tmp_path / "last.safetensors", {"net": net}, optimizer, {"step": 3}, [random_state()]
    )
    train(net, optimizer, 3)
    other, other_optimizer = trained(name, 0)
    assert load_state(tmp_path / "last.safetensors", {"net": other}, other_optimizer) == {"step": 3}
    train(other, other_optimizer, 3)
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

    def full(tensors: object, target: Path, metadata: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(
        OutputError,
        match=r"first\.safetensors: cannot be written \(No space left on device\); free the disk "
        r"or choose another --out$",
    ):
        save_state(
            tmp_path / "first.safetensors", {"net": net}, optimizer, {"step": 2}, [random_state()]
        )
    with pytest.raises(
        OutputError,
        match=r"cannot be written .*No space left.*; --resume continues from the previous state$",
    ):
        save_state(path, {"net": net}, optimizer, {"step": 2}, [random_state()])
    assert load_state(path, {"net": net}, optimizer) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_state_has_the_permissions_of_other_files_in_the_folder(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 0)
    save_state(tmp_path / "state", {"net": net}, optimizer, {}, [random_state()])
    (tmp_path / "plain").touch()
    assert (tmp_path / "state").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_several_networks_and_processes_share_a_file(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 2)
    other, _ = trained("sgd", 1)
    torch.manual_seed(1)
    first, second = random_state(), {"cpu": torch.Generator().manual_seed(9).get_state()}
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": net, "ema": other}, optimizer, {}, [first, second])
    (fresh, fresh_optimizer), (ema, _) = trained("sgd", 0), trained("sgd", 0)
    draws = []
    for rank in (0, 1, 2):
        torch.manual_seed(5)
        load_state(path, {"net": fresh, "ema": ema}, fresh_optimizer, rank)
        draws.append(float(torch.rand(1)))
    for loaded, saved in ((fresh, net), (ema, other)):
        assert all(map(torch.equal, loaded.state_dict().values(), saved.state_dict().values()))
    # A process that was not there before keeps its own numbers.
    expected = [float(torch.rand(1, generator=torch.Generator().manual_seed(n))) for n in (1, 9, 5)]
    assert draws == expected


def test_rates_and_decays_are_those_of_the_recipe_not_of_the_file(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 1)
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": net}, optimizer, {}, [random_state()])
    optimizer.param_groups[0]["lr"] = 0.123
    load_state(path, {"net": net}, optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.123


def test_files_that_hold_no_state_are_refused(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 0)
    path = tmp_path / "last.safetensors"
    with pytest.raises(OutputError, match="not a readable training state"):
        load_state(path, {"net": net}, optimizer)
    path.write_bytes(b"torn")
    with pytest.raises(OutputError, match="not a readable training state"):
        load_state(path, {"net": net}, optimizer)
    save_file({"x": torch.zeros(1)}, path, {"format": "geoseg-training-0"})
    with pytest.raises(OutputError, match="not the state of a training by this version of geoseg"):
        load_state(path, {"net": net}, optimizer)


class SavedState:
    """A state of three steps, and a fresh network that files made of it are loaded into."""

    def __init__(self, folder: Path) -> None:
        net, optimizer = trained("adamw", 3)
        self.path = folder / "last.safetensors"
        save_state(self.path, {"net": net}, optimizer, {"step": 3}, [random_state()])
        self.whole = self.path.read_bytes()
        self.fresh = trained("adamw", 0)
        torch.manual_seed(1)
        load_state(self.path, {"net": self.fresh[0]}, self.fresh[1])
        assert all(map(torch.equal, self.numbers(), self.numbers(net, optimizer)))

    def numbers(self, net: Any = None, optimizer: Any = None) -> list[torch.Tensor]:
        """All that a state holds, of the fresh network where none is given."""
        net, optimizer = (net, optimizer) if net is not None else self.fresh
        kept = optimizer.state_dict()["state"].values()
        moments = [state[name] for state in kept for name in sorted(state)]
        return [*net.state_dict().values(), *moments, torch.get_rng_state()]

    def refuses(self, damaged: bytes) -> bool:
        """Whether a damaged file is refused in one line; if not, nothing of it may differ."""
        self.path.write_bytes(damaged)
        before = [x.clone() for x in self.numbers()]
        refusal = ""
        try:
            facts = load_state(self.path, {"net": self.fresh[0]}, self.fresh[1])
        except OutputError as error:
            refusal = str(error)
        assert all(map(torch.equal, before, self.numbers()))
        if refusal:
            assert re.search(r"^[^\n]*; .*start a new run in another --out$", refusal)
        else:
            assert facts == {"step": 3}
        return bool(refusal)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedState:
    return SavedState(tmp_path_factory.mktemp("state"))


def test_no_flipped_bit_gives_another_state(saved: SavedState) -> None:
    rng = random.Random(0)
    header = 8 + int.from_bytes(saved.whole[:8], "little")
    refused = 0
    for number in range(3000):  # every third in the header, which is shorter than the tensors
        bit = rng.randrange(8 * (header if number % 3 == 0 else len(saved.whole)))
        damaged = bytearray(saved.whole)
        damaged[bit // 8] ^= 1 << bit % 8
        refused += saved.refuses(bytes(damaged))
    assert refused > 2900  # a space after the header may become another one


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1), removed=st.integers(0, 40), added=st.binary(max_size=40))
def test_no_edited_byte_gives_another_state(
    saved: SavedState, place: float, removed: int, added: bytes
) -> None:
    start = int(place * len(saved.whole))
    damaged = saved.whole[:start] + added + saved.whole[start + removed :]
    assert saved.refuses(damaged) or len(damaged) == len(saved.whole)


@pytest.mark.parametrize("key", ["facts", "checksum"])
def test_a_state_that_lacks_a_part_of_its_metadata_is_refused(tmp_path: Path, key: str) -> None:
    net, optimizer = trained("sgd", 1)
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": net}, optimizer, {"step": 1}, [random_state()])
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    del metadata[key]
    save_file(load_file(path), path, metadata)
    with pytest.raises(OutputError, match="damaged or changed since it was written"):
        load_state(path, {"net": net}, optimizer)


def test_facts_and_tensors_that_were_edited_are_refused(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 1)
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": net}, optimizer, {"step": 1}, [random_state()])
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), load_file(path)
    name = next(iter(tensors))
    for changed, facts in (
        (tensors, '{"step": 2}'),
        (tensors, "[]"),
        (tensors | {name: tensors[name] + 1}, metadata["facts"]),
        (tensors | {"optimizer.first.x": torch.zeros(1)}, metadata["facts"]),
    ):
        save_file(changed, path, metadata | {"facts": facts})
        with pytest.raises(OutputError, match=r"its checksum does not fit\); restore it from"):
            load_state(path, {"net": net}, optimizer)


def test_another_networks_state_is_refused(tmp_path: Path) -> None:
    net, optimizer = trained("sgd", 1)
    save_state(tmp_path / "last.safetensors", {"net": net}, optimizer, {}, [random_state()])
    other = create_model("pixel", classes=3)
    with pytest.raises(OutputError, match="the state of another network; start a new run"):
        load_state(tmp_path / "last.safetensors", {"net": other}, make_optimizer(other, Recipe()))
