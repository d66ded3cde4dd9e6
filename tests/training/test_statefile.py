"""The facts of a state are read without torch, and what is no state is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn, optim

from geoseg.errors import OutputError
from geoseg.training.state import save_state
from geoseg.training.statefile import read_facts


def test_facts_are_those_that_were_saved(tmp_path: Path) -> None:
    net, path = nn.Linear(2, 2), tmp_path / "last.safetensors"
    facts = {"step": 3, "best": {"iou": {"a": 0.5}}}
    save_state(path, {"net": net}, optim.SGD(net.parameters()), facts, [])
    assert read_facts(path) == facts


@pytest.mark.slow
def test_facts_are_read_without_torch(tmp_path: Path) -> None:
    net, path = nn.Linear(2, 2), tmp_path / "last.safetensors"
    save_state(path, {"net": net}, optim.SGD(net.parameters()), {"step": 3}, [])
    code = (
        "import sys; from pathlib import Path; from geoseg.training.statefile import read_facts;"
        f"print(read_facts(Path({str(path)!r}))['step'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "3 False\n"


def test_every_damaged_beginning_is_refused_in_one_line_or_still_facts(tmp_path: Path) -> None:
    net, path = nn.Linear(1, 1), tmp_path / "last.safetensors"
    save_state(path, {"net": net}, optim.SGD(net.parameters()), {"step": 3}, [])
    whole, refused = path.read_bytes(), []
    for at in range(min(len(whole), 400)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            assert isinstance(read_facts(path), dict)
        except OutputError as error:
            refused.append(str(error))
    assert refused
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in refused)


def test_a_model_is_no_state(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({}, tmp_path / "a.safetensors", {"format": "pt"})
    with pytest.raises(OutputError, match="not the state of a training by this version"):
        read_facts(tmp_path / "a.safetensors")
