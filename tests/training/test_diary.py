from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError
from geoseg.metrics import ConfusionMatrix
from geoseg.training import board
from geoseg.training.diary import Diary
from geoseg.training.history import read_rows
from geoseg.training.recipe import Recipe

SCHEME = ClassScheme.from_names(["dark", "bright"])


class Writer:
    """Stands for TensorBoard's, and remembers."""

    made: list[Writer]

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.first = folder, purge_step
        self.figures: dict[tuple[str, int], float] = {}
        Writer.made.append(self)

    def add_scalar(self, name: str, figure: float, step: int) -> None:
        self.figures[name, step] = figure

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> type[Writer]:
    Writer.made = []
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(board, "find_spec", lambda _: True)
    return Writer


def judged() -> ConfusionMatrix:
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([0, 0, 1, 1], np.uint8), np.array([0, 1, 1, 1], np.uint8))
    return confusion


def test_the_board_gets_what_the_table_gets(tmp_path: Path, writer: type[Writer]) -> None:
    diary = Diary(tmp_path, SCHEME, Recipe(tensorboard=True), first_step=5)
    diary.add(10, 1.0, 0.01, 0.7, None)
    diary.add(20, 2.0, 0.005, 0.6, judged())
    (made,) = writer.made
    assert (made.folder, made.first) == (str(tmp_path / "tensorboard"), 5)
    assert {key: made.figures[key, 20] for key in ("loss", "learning_rate", "iou/dark")} == {
        "loss": 0.6, "learning_rate": 0.005, "iou/dark": 0.5,
    }  # fmt: skip
    assert made.figures["validation/overall_accuracy", 20] == 0.75
    assert ("validation/mean_iou", 10) not in made.figures
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == ["10", "20"]


def test_tensorboard_is_not_needed_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "find_spec", lambda _: None)
    diary = Diary(tmp_path, SCHEME, Recipe())
    diary.add(10, 1.0, 0.01, 0.7, judged())
    diary.draw(10, [])
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "curves.png"}
    with pytest.raises(ConfigError, match="TensorBoard is not installed"):
        Diary(tmp_path, SCHEME, Recipe(tensorboard=True))
