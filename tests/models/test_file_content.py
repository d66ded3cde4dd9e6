"""A file that is missing, at whatever moment, is named in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import geoseg
from geoseg.commands import export, info
from geoseg.errors import GeosegError, ModelError
from geoseg.importing.checkpoint import open_checkpoint
from geoseg.models import cardfile, load_card, weights
from tests.models.test_external_file import DEEPNESS, FULL, onnx_file

Load = Callable[[Path], object]


class Vanishing:
    """Looks at files, of which one removes the file before it."""

    def __init__(self, path: Path, last: int) -> None:
        self.path, self.last, self.looks = path, last, 0

    def before(self, look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | Path) and Path(path) == self.path:
                self.looks += 1
                if self.looks == self.last:
                    self.path.unlink(missing_ok=True)
            return look(path, *arguments, **options)

        return looked


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """The content of a file of each kind that a model may have, by its name."""
    net = geoseg.create_model("pixel", classes=2)
    facts: dict[str, Any] = {"classes": ["road", "roof"], "bands": ["red", "green", "blue"]}
    facts |= {"value_range": (0, 255), "mean": [9] * 3, "std": [5] * 3}
    geoseg.save_model(net, tmp_path / "a.safetensors", **facts)
    onnx_file(tmp_path / "a.onnx", classes=2, **DEEPNESS)
    module, image = nn.Conv2d(3, 2, 1).eval(), torch.zeros(1, 3, 8, 8)
    torch.jit.trace(module, image).save(tmp_path / "a.pt")
    torch.export.save(torch.export.export(module, (image,)), tmp_path / "a.pt2")
    torch.save(module.state_dict(), tmp_path / "a.pth")
    names = ("a.safetensors", "a.onnx", "a.pt", "a.pt2", "a.pth")
    return {name: (tmp_path / name).read_bytes() for name in names}


def test_a_file_that_vanishes_at_any_look_is_named(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "card.yaml").write_text(FULL)
    loads: dict[str, Load] = {
        "load_model": geoseg.load_model,
        "load_card": load_card,
        "info": info.run,
        "mlm": lambda path: export.run(path, "mlm", tmp_path / "item.json", overwrite=True),
        "hf": lambda path: export.run(path, "hf", tmp_path / "folder", overwrite=True),
    }
    of_weights: dict[str, Load] = {
        "import": lambda path: open_checkpoint(path).digest,
        "encoder weights": lambda path: weights.load_weights(nn.Conv2d(3, 2, 1), str(path)),
    }
    for name, content in files.items():
        for what, load in (of_weights if name == "a.pth" else loads).items():
            looks = vanish_at_each_look(tmp_path / name, content, load, what, monkeypatch)
            assert looks > 0, (name, what)


def vanish_at_each_look(
    path: Path, content: bytes, load: Load, what: str, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Load a file that vanishes at its first look, at its second, and so on; their number."""
    for last in range(1, 99):
        path.write_bytes(content)
        vanishing = Vanishing(path, last)
        with monkeypatch.context() as patch:
            for owner, name in [
                (Path, "open"),
                (Path, "read_bytes"),
                (Path, "stat"),
                (cardfile, "safe_open"),
                (torch, "load"),
            ]:
                patch.setattr(owner, name, vanishing.before(getattr(owner, name)))
            try:
                load(path)
            except GeosegError as error:
                line = str(error)
                assert line.startswith(str(path)) or f"{str(path)!r}" in line, (what, last, line)
                assert "o such file" in line, (what, last, line)
            else:
                assert vanishing.looks < last, (what, last)
                return vanishing.looks
    raise AssertionError(f"{what} looks at {path.name} without end")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".pt", ".pt2"])
def test_a_missing_file_is_named_before_what_its_card_lacks(tmp_path: Path, suffix: str) -> None:
    for load in (geoseg.load_model, load_card):
        with pytest.raises(ModelError, match=r"none\.\w+: cannot be read \(No such file or dir.*"):
            load(tmp_path / f"none{suffix}")
