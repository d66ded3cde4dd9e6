from __future__ import annotations

from pathlib import Path

import numpy as np

from geoseg.metrics import ConfusionMatrix
from geoseg.training.history import History, plot_curves, read_rows


def judged() -> ConfusionMatrix:
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([0, 0, 1, 1], np.uint8), np.array([0, 1, 1, 1], np.uint8))
    return confusion


def test_rows_are_appended_and_validations_fill_their_columns(tmp_path: Path) -> None:
    history = History(tmp_path / "metrics.csv", ["dark", "bright"])
    history.add(10, 1.5, 0.01, 0.7)
    history.add(20, 3.0, 0.005, 0.6, judged())
    first, second = read_rows(history.path)
    assert (first["step"], first["loss"], first["mean_iou"]) == ("10", "0.70000", "")
    assert (second["overall_accuracy"], second["iou_dark"], second["iou_bright"]) == (
        "0.75000",
        "0.50000",
        "0.66667",
    )


def test_a_resumed_run_drops_the_rows_after_its_state(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    history = History(path, ["dark"])
    for step in (10, 20, 30):
        history.add(step, 1.0, 0.01, 0.5)
    History(path, ["dark"], first_step=20).add(25, 1.0, 0.01, 0.4)
    assert [row["step"] for row in read_rows(path)] == ["10", "20", "25"]
    History(path, ["dark"])
    assert read_rows(path) == []


def test_a_row_that_a_crash_cut_short_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    history = History(path, ["dark"])
    for step in (20, 1040):
        history.add(step, 1.0, 0.01, 0.5)
    whole = path.read_bytes()
    for cut in range(whole.index(b"1040") + 1, len(whole) - 3):
        path.write_bytes(whole[:cut])
        History(path, ["dark"], first_step=1040).add(1040, 1.0, 0.01, 0.4)
        assert [(row["step"], row["loss"]) for row in read_rows(path)] == [
            ("20", "0.50000"),
            ("1040", "0.40000"),
        ]


def test_curves_are_drawn_with_and_without_validation(tmp_path: Path) -> None:
    history = History(tmp_path / "metrics.csv", ["dark", "bright"])
    history.add(10, 1.5, 0.01, 0.7)
    plot_curves(read_rows(history.path), tmp_path / "plain.png")
    history.add(20, 3.0, 0.005, 0.6, judged())
    plot_curves(read_rows(history.path), tmp_path / "judged.png")
    for name in ("plain.png", "judged.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_there_are_no_rows_without_a_file(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "metrics.csv") == []
