"""The record of a run: metrics.csv, curves.png and, where asked for, TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geoseg.errors import ConfigError
from geoseg.files import replace_file
from geoseg.metrics import ConfusionMatrix
from geoseg.training.outcome import CURVES, TABLE
from geoseg.training.summary import metric_names, metric_values


def require_tensorboard() -> None:
    """Refuse a run that asks for TensorBoard where it is not installed.

    Raises:
        ConfigError: with what to install.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "train.tensorboard: TensorBoard is not installed; pip install 'geoseg[tensorboard]'"
        )


class History:
    """``metrics.csv``: a row every few steps, with the metrics of a validation if there was one."""

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        *,
        first_step: int = 0,
        tensorboard: bool = False,
    ) -> None:
        """Continue the table up to `first_step`; later rows, of a stopped run, are dropped.

        Raises:
            OutputError: the table cannot be written.
        """
        self._folder = folder
        self._table = folder / TABLE
        self._classes = list(classes)
        self._columns = ["step", "seconds", "learning_rate", "loss", *metric_names(classes)]
        kept = [row for row in read_rows(self._table) if int(row["step"]) <= first_step]
        with (
            replace_file(self._table) as made,
            made.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(kept)
        self._events = _event_writer(folder / "tensorboard", first_step) if tensorboard else None

    def add(
        self,
        step: int,
        seconds: float,
        learning_rate: float,
        loss: float,
        confusion: ConfusionMatrix | None = None,
    ) -> None:
        """Append a row.

        Args:
            step: steps done.
            seconds: training time.
            learning_rate: of the head.
            loss: mean since the last row.
            confusion: of a validation after this step.
        """
        row: dict[str, object] = {
            "step": step,
            "seconds": f"{seconds:.1f}",
            "learning_rate": f"{learning_rate:.6g}",
            "loss": f"{loss:.5f}",
        }
        values = {} if confusion is None else metric_values(confusion, self._classes)
        row |= {name: f"{value:.5f}" for name, value in values.items()}
        with self._table.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)
        if self._events is None:
            return
        events = {"loss": loss, "learning_rate": learning_rate}
        for name, value in values.items():
            # TensorBoard groups its plots by what precedes the slash.
            is_class = name.startswith("iou_")
            events[name.replace("_", "/", 1) if is_class else f"validation/{name}"] = value
        for name, value in events.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()

    def plot(self) -> None:
        """Draw ``curves.png`` from the table so far."""
        plot_curves(read_rows(self._table), self._folder / CURVES)


def _event_writer(folder: Path, first_step: int) -> Any:
    """TensorBoard's writer; what a stopped run wrote after `first_step` is no longer shown."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The complete rows of a ``metrics.csv``; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def plot_curves(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Training loss on the left axis, mean IoU and overall accuracy of validations on the right."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps, losses = [int(row["step"]) for row in rows], [float(row["loss"]) for row in rows]
    axes.plot(steps, losses, color="0.6", label="loss")
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("training loss")
    validated = [row for row in rows if row["mean_iou"]]
    if validated:
        right = axes.twinx()
        right.set_ylim(0, 1)
        right.set_ylabel("validation")
        steps = [int(row["step"]) for row in validated]
        for column, label in (("mean_iou", "mean IoU"), ("overall_accuracy", "overall accuracy")):
            right.plot(steps, [float(row[column]) for row in validated], marker=".", label=label)
    figure.legend(loc="outside upper center", ncols=3)
    with replace_file(path) as made:
        figure.savefig(made, format="png", dpi=120)
