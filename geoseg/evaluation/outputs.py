"""The files of an evaluation: figures as JSON, a table of classes, the confusion matrix as a plot, and the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.evaluation.html import html_report
from geoseg.evaluation.scoring import Rules, Verdict
from geoseg.evaluation.worst_places import pictures_of_worst
from geoseg.files import replace_file

COLUMNS = ("iou", "f1", "precision", "recall", "boundary_f1")
"""Figures that every class has."""
_NUMBERED = 30
"""Classes up to which the plot shows numbers."""


def write_files(
    folder: Path, data: dict[str, Any], judged: Sequence[Verdict], rules: Rules
) -> None:
    """Write all of them, each in one step.

    Raises:
        OutputError: one cannot be written.
        SourceError: a raster can no longer be read.
    """
    plot = confusion_plot(data)
    pictures = pictures_of_worst(judged, rules)
    _put(folder / "classes.csv", lambda path: path.write_text(class_table(data), encoding="utf-8"))
    _put(folder / "confusion.png", lambda path: path.write_bytes(plot))
    page = html_report(data, rules.scheme, plot, pictures)
    _put(folder / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    document = json.dumps(data, indent=2, allow_nan=False) + "\n"
    _put(folder / "metrics.json", lambda path: path.write_text(document, encoding="utf-8"))


def class_table(data: dict[str, Any]) -> str:
    """One row a class, as CSV: figures between 0 and 1, empty where one is undefined."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["class", *COLUMNS, "reference_pixels", "predicted_pixels", "missed_pixels", "in_mean"]
    )
    matrix = np.array(data["confusion_matrix"])
    actual, predicted = matrix.sum(axis=1) + data["missed"], matrix.sum(axis=0)
    for index, name in enumerate(data["classes"]):
        shares = ["" if data[column][name] is None else data[column][name] for column in COLUMNS]
        counts = [actual[index], predicted[index], data["missed"][index]]
        writer.writerow(
            [name, *shares, *counts, "yes" if name in data["classes_in_mean"] else "no"]
        )
    return text.getvalue()


def confusion_plot(data: dict[str, Any]) -> bytes:
    """The confusion matrix as a PNG: each row in percent of the reference's pixels of that class."""
    # matplotlib takes half a second to import. Without pyplot it keeps no global state and needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.array(data["confusion_matrix"], np.float64)
    columns = list(data["classes"])
    if any(data["missed"]):
        counts = np.column_stack([counts, data["missed"]])
        columns.append("missed")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    side = 0.62 * len(columns) + 2.6
    figure = Figure(figsize=(side, 0.5 * len(counts) + 2.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(
        range(len(columns)),
        columns,
        rotation=40,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    axes.set_yticks(range(len(counts)), data["classes"], parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("reference")
    axes.set_title("% of the reference's pixels of each class", fontsize=10)
    if len(counts) <= _NUMBERED:
        for (row, col), share in np.ndenumerate(shares):
            if np.isfinite(share):
                shown = f"{share:.1f}" if share >= 0.05 else "0"
                axes.text(
                    col,
                    row,
                    shown,
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="w" if share > 55 else "0.2",
                )
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _put(path: Path, write: Callable[[Path], object]) -> None:
    with replace_file(path) as made:
        write(made)
