"""The run's diary: metrics.csv while it trains, curves.png from it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from geoseg.files import replace_file
from geoseg.metrics import ConfusionMatrix

Row = dict[str, str]


class History:
    """``metrics.csv``: one row for every few steps, with the figures of a validation where there was one."""

    def __init__(self, path: Path, classes: Sequence[str], first_step: int = 0) -> None:
        """Go on with the file up to `first_step`; rows after it, of a run that was stopped, are dropped."""
        self.path = path
        self._classes = list(classes)
        self._columns = [
            "step",
            "seconds",
            "learning_rate",
            "loss",
            "mean_iou",
            "mean_f1",
            "overall_accuracy",
        ]
        self._columns += [f"iou_{name}" for name in classes]
        kept = (
            [row for row in read_rows(path) if int(row["step"]) <= first_step] if first_step else []
        )
        with replace_file(path) as made, made.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(kept)

    def add(
        self,
        step: int,
        seconds: float,
        learning_rate: float,
        loss: float,
        confusion: ConfusionMatrix | None = None,
    ) -> None:
        """Append one row: steps done, training time, rate, mean loss since the last row, validation if there was."""
        row: dict[str, object] = {
            "step": step,
            "seconds": f"{seconds:.1f}",
            "learning_rate": f"{learning_rate:.6g}",
        }
        row["loss"] = f"{loss:.5f}"
        if confusion is not None:
            row |= {
                name: f"{getattr(confusion, name):.5f}"
                for name in ("mean_iou", "mean_f1", "overall_accuracy")
            }
            row |= {
                f"iou_{name}": f"{iou:.5f}"
                for name, iou in zip(self._classes, confusion.iou, strict=True)
            }
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)


def read_rows(path: Path) -> list[Row]:
    """The rows of a ``metrics.csv`` but one that a crash cut short; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def plot_curves(rows: Sequence[Row], path: Path) -> None:
    """Training loss on the left axis, mean IoU and overall accuracy of the validations on the right."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [int(row["step"]) for row in rows],
        [float(row["loss"]) for row in rows],
        color="0.6",
        label="loss",
    )
    axes.set_xlabel("step")
    axes.set_ylabel("training loss")
    validated = [row for row in rows if row["mean_iou"]]
    if validated:
        figures = axes.twinx()
        figures.set_ylim(0, 1)
        figures.set_ylabel("validation")
        steps = [int(row["step"]) for row in validated]
        for column, label in (("mean_iou", "mean IoU"), ("overall_accuracy", "overall accuracy")):
            figures.plot(steps, [float(row[column]) for row in validated], marker=".", label=label)
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=120)
