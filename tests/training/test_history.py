from __future__ import annotations

import sys
import types
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from geoseg.errors import ConfigError
from geoseg.metrics import ConfusionMatrix
from geoseg.training import history as module
from geoseg.training.history import History, plot_curves, read_rows, require_tensorboard

CLASSES = ["dark", "bright"]


class Writer:
    """Replaces TensorBoard's, and remembers."""

    made: list[Writer]

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.first_step = folder, purge_step
        self.values: dict[tuple[str, int], float] = {}
        self.flushed = 0
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.values[name, step] = value

    def flush(self) -> None:
        self.flushed += 1


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> type[Writer]:
    Writer.made = []
    tensorboard = types.ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)
    monkeypatch.setattr(module, "find_spec", lambda name: name == "tensorboard" or None)
    return Writer


def validated() -> ConfusionMatrix:
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([0, 0, 1, 1], np.uint8), np.array([0, 1, 1, 1], np.uint8))
    return confusion


def test_rows_are_appended_and_validations_fill_their_columns(tmp_path: Path) -> None:
    history = History(tmp_path, CLASSES)
    history.add(10, 1.46, 0.0123456789, 0.7)
    history.add(20, 3.0, 0.005, 0.6, validated())
    path = tmp_path / "metrics.csv"
    assert path.read_text().splitlines()[0].split(",") == [
        "step", "seconds", "learning_rate", "loss", "mean_iou", "mean_f1", "overall_accuracy",
        "iou_dark", "iou_bright",
    ]  # fmt: skip
    first, second = read_rows(path)
    assert list(first.values()) == ["10", "1.5", "0.0123457", "0.70000", "", "", "", "", ""]
    # Of "dark" one pixel of two is found, both of "bright", which takes the third.
    assert list(second.values()) == [
        "20", "3.0", "0.005", "0.60000", "0.58333", "0.73333", "0.75000", "0.50000", "0.66667",
    ]  # fmt: skip


def test_a_resumed_run_drops_the_rows_after_its_state(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    history = History(tmp_path, ["dark"])
    for step in (1, 20, 30):
        history.add(step, 1.0, 0.01, 0.5)
    History(tmp_path, ["dark"], first_step=20).add(25, 1.0, 0.01, 0.4)
    assert [row["step"] for row in read_rows(path)] == ["1", "20", "25"]
    History(tmp_path, ["dark"])
    assert read_rows(path) == []


def test_a_row_that_a_crash_cut_short_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    history = History(tmp_path, ["dark"])
    for step in (20, 1040):
        history.add(step, 1.0, 0.01, 0.5)
    whole = path.read_bytes()
    for cut in range(whole.index(b"1040") + 1, len(whole) - 3):
        path.write_bytes(whole[:cut])
        History(tmp_path, ["dark"], first_step=1040).add(1040, 1.0, 0.01, 0.4)
        assert [(row["step"], row["loss"]) for row in read_rows(path)] == [
            ("20", "0.50000"),
            ("1040", "0.40000"),
        ]


def test_there_are_no_rows_without_a_file(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "metrics.csv") == []


def test_curves_show_the_loss_and_the_metrics_of_the_validations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, tuple[list[float], list[float]]]] = []

    def keep(figure: Figure, path: Path, **_: object) -> None:
        path.touch()
        assert all(axes.get_ylim() == (0, 1) for axes in figure.axes[1:]), "metrics are shares"
        lines = [line for axes in figure.axes for line in axes.lines]
        drawn.append({str(line.get_label()): tuple(map(list, line.get_data())) for line in lines})

    monkeypatch.setattr(Figure, "savefig", keep)
    history = History(tmp_path, CLASSES)
    history.add(10, 1.5, 0.01, 0.7)
    history.plot()
    history.add(20, 3.0, 0.005, 0.6, validated())
    history.plot()
    assert drawn == [
        {"loss": ([10], [0.7])},
        {
            "loss": ([10, 20], [0.7, 0.6]),
            "mean IoU": ([20], [0.58333]),
            "overall accuracy": ([20], [0.75]),
        },
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "curves.png"}


def test_curves_are_a_picture(tmp_path: Path) -> None:
    plot_curves([], tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").shape[:2] == (540, 960)


def test_tensorboard_gets_what_the_table_gets(tmp_path: Path, writer: type[Writer]) -> None:
    history = History(tmp_path, CLASSES, first_step=5, tensorboard=True)
    history.add(10, 1.0, 0.01, 0.7, None)
    history.add(20, 2.0, 0.005, 0.6, validated())
    (made,) = writer.made
    assert (made.folder, made.first_step) == (str(tmp_path / "tensorboard"), 5)
    assert made.values == pytest.approx(
        {
            ("loss", 10): 0.7,
            ("learning_rate", 10): 0.01,
            ("loss", 20): 0.6,
            ("learning_rate", 20): 0.005,
            ("validation/mean_iou", 20): 7 / 12,
            ("validation/mean_f1", 20): 11 / 15,
            ("validation/overall_accuracy", 20): 0.75,
            ("iou/dark", 20): 0.5,
            ("iou/bright", 20): 2 / 3,
        }
    )
    assert made.flushed == 2
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == ["10", "20"]


def test_tensorboard_is_not_needed_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    history = History(tmp_path, CLASSES)
    history.add(10, 1.0, 0.01, 0.7, validated())
    history.plot()
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "curves.png"}
    with pytest.raises(ConfigError, match=r"TensorBoard is not installed; pip install 'geoseg\["):
        require_tensorboard()


def test_an_installed_tensorboard_is_accepted(writer: type[Writer]) -> None:
    require_tensorboard()


@pytest.mark.parametrize("last", [2, 3, 7, 1000])
def test_curves_have_whole_steps_at_their_ticks(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: object, **options: object) -> None:
        drawn.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    rows = [
        {"step": str(step), "loss": "0.5", "mean_iou": "0.5", "overall_accuracy": "0.6"}
        for step in (1, last)
    ]
    plot_curves(rows, tmp_path / "curves.png")
    ticks = drawn[0].axes[0].get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))
    assert len(ticks) >= 2
