"""Everything a stopped run needs to continue, in one file that is complete or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from geoseg.errors import OutputError
from geoseg.files import replace_file
from geoseg.models.checksum import checksum
from geoseg.training.statefile import FORMAT, facts_text, open_state


def random_state() -> dict[str, Tensor]:
    """The state of torch's random generators in this process, by kind."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def save_state(
    path: Path,
    nets: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    random_states: Sequence[Mapping[str, Tensor]],
) -> None:
    """Write networks, optimizer and random state; a crash while writing leaves the previous file.

    Args:
        path: the file.
        nets: their parameters and buffers, under names without a point.
        optimizer: its state of each parameter.
        facts: what else the run needs (step, best metrics ...), ready for JSON.
        random_states: `random_state` of each process.

    Raises:
        OutputError: the file cannot be written.
    """
    # The names of the tensors in the file:
    #     net.<name>, ema.<name>         a network's parameters and buffers
    #     optimizer.<number>.<name>      what the optimizer keeps of a parameter, by its position
    #     random.<kind>[.<rank>]         a random generator of a process; without rank, of the first
    tensors = {
        f"{key}.{name}": tensor
        for key, net in nets.items()
        for name, tensor in net.state_dict().items()
    }
    for position, kept in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{position}.{name}": value
            for name, value in kept.items()
            if value is not None
        }
    for rank, states in enumerate(random_states):
        tensors |= {_random_name(kind, rank): state for kind, state in states.items()}
    # Clones: safetensors refuses tensors that share memory, and wants plain layouts.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    text = json.dumps(facts)
    metadata = {"format": FORMAT, "facts": text, "checksum": checksum(plain, text)}
    try:
        with replace_file(path, errors=(OSError, SafetensorError)) as built:
            built.touch()
            mode = built.stat().st_mode  # safetensors would let its owner alone read it
            save_file(plain, built, metadata)
            built.chmod(mode)
    except OutputError as error:
        kept = "; --resume continues from the previous state" if path.exists() else ""
        raise type(error)(f"{error}{kept}") from error


def load_state(
    path: Path, nets: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, rank: int = 0
) -> dict[str, Any]:
    """Restore networks, optimizer and random generators; returns the facts.

    Args:
        path: the file.
        nets: the same networks under the same names.
        optimizer: over the same parameters.
        rank: of this process; one that was not there before keeps its random state.

    Raises:
        OutputError: the file is not a training state, is damaged, or is that of another network.
    """
    tensors, facts = _read_state(path)
    try:
        for key, net in nets.items():
            net.load_state_dict(_under_prefix(tensors, f"{key}."))
    except RuntimeError as error:
        raise OutputError(
            f"{path}: the state of another network; start a new run in another --out"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under_prefix(tensors, "optimizer.").items():
        position, _, key = name.partition(".")
        state.setdefault(int(position), {})[key] = tensor
    # Rates and decays are not in the file: they follow from the recipe and the step.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    if (name := _random_name("cpu", rank)) in tensors:
        torch.set_rng_state(tensors[name])
    if (name := _random_name("cuda", rank)) in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[name])
    return facts


def _random_name(kind: str, rank: int) -> str:
    return f"random.{kind}.{rank}" if rank else f"random.{kind}"


def _under_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, under the rest of their names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file, as they were written."""
    with open_state(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    text = facts_text(path, metadata)
    if metadata.get("checksum") != checksum(tensors, text):
        raise OutputError(
            f"{path}: damaged or changed since it was written (its checksum does not fit); "
            "restore it from a copy, or start a new run in another --out"
        )
    return tensors, json.loads(text)
