"""Everything a stopped run needs to go on, in one file that is whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from geoseg.errors import OutputError

FORMAT = "geoseg-training-2"


def random_state() -> dict[str, Tensor]:
    """Where torch's random generators stand in this process, by kind."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def save_state(
    path: Path,
    nets: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    randoms: Sequence[Mapping[str, Tensor]],
) -> None:
    """Write networks, optimizer and random state; a crash while writing leaves the previous file.

    Args:
        path: the file; a temporary one beside it is renamed.
        nets: their parameters and buffers, under names without a point.
        optimizer: its state of each parameter.
        facts: what else the run needs (step, best figure ...), ready for JSON.
        randoms: `random_state` of each process.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {
        f"{key}.{name}": tensor
        for key, net in nets.items()
        for name, tensor in net.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None
        }
    for rank, random in enumerate(randoms):
        tensors |= {_random_name(kind, rank): state for kind, state in random.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Clones: safetensors refuses tensors that share memory, and wants plain layouts.
        plain = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
        temporary.touch()
        readers = temporary.stat().st_mode  # safetensors would make it its owner's alone
        save_file(plain, temporary, {"format": FORMAT, "facts": json.dumps(facts)})
        temporary.chmod(readers)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        left = (
            "the previous one stands, and --resume continues from it once"
            if path.exists()
            else "begin again when"
        )
        raise OutputError(
            f"{path}: the training state cannot be written ({error}); {left} there is room"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def load_state(
    path: Path, nets: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, rank: int = 0
) -> dict[str, Any]:
    """Put networks, optimizer and random generators where `save_state` found them; gives back the facts.

    Args:
        path: the file.
        nets: the same networks under the same names.
        optimizer: over the same parameters.
        rank: which process this is; one that was not there before keeps its random state.

    Raises:
        OutputError: the file is no state of a training, or of another network.
    """
    with _opened(path) as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    try:
        for key, net in nets.items():
            net.load_state_dict(_below(tensors, f"{key}."))
    except RuntimeError as error:
        raise OutputError(
            f"{path}: the state of another network; start anew in another --out"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    if (name := _random_name("cpu", rank)) in tensors:
        torch.set_rng_state(tensors[name])
    if (name := _random_name("cuda", rank)) in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[name])
    return facts


def _random_name(kind: str, rank: int) -> str:
    return f"random.{kind}.{rank}" if rank else f"random.{kind}"


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, under what is left of them."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _opened(path: Path) -> Any:
    try:
        file = safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"{path}: no readable training state ({error}); start anew in another --out"
        ) from error
    if (file.metadata() or {}).get("format") != FORMAT:  # type: ignore[no-untyped-call]  # safetensors leaves it out
        raise OutputError(
            f"{path}: not the state of a geoseg training; start anew in another --out"
        )
    return file
