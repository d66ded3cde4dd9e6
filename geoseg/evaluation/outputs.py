"""The files of an evaluation: metrics as JSON, a table of classes, a plot, and the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.classes import ClassScheme
from geoseg.evaluation.html_report import html_report
from geoseg.evaluation.largest_errors import ErrorCell
from geoseg.files import replace_file
from geoseg.own_reports import refuse_foreign_report

COLUMNS = ("iou", "f1", "precision", "recall", "boundary_f1")
"""Metrics that every class has."""
METRICS = "metrics.json"
"""The file that says that all of an evaluation is there."""
_NUMBERED = 30
"""Classes up to which the plot shows numbers."""


def write_outputs(
    folder: Path, data: dict[str, Any], cells: Sequence[ErrorCell], scheme: ClassScheme
) -> None:
    """Write all of them; ``metrics.json``, which says that all is there, last.

    Args:
        folder: where.
        data: the content of ``metrics.json``.
        cells: the places with the largest errors.
        scheme: for the classes' colours.

    Raises:
        OutputError: one cannot be written.
    """
    plot = confusion_plot(data)
    page = html_report(data, scheme, plot, cells)
    metrics = json.dumps(data, indent=2, allow_nan=False) + "\n"
    contents = (class_table(data).encode(), plot, page.encode())
    with replace_file(folder / METRICS, companions=_companions) as built:
        for path, content in zip(_companions(built), contents, strict=True):
            path.write_bytes(content)
        built.write_bytes(metrics.encode())


def refuse_foreign_files(folder: Path) -> None:
    """Refuse to replace files that are not an evaluation's.

    Raises:
        OutputError: with the first of them.
    """
    keys = ("geoseg", "confusion_matrix")
    refuse_foreign_report(folder / METRICS, keys, "evaluate", companions=_companions)


def _companions(metrics: Path) -> list[Path]:
    return [metrics.with_name(name) for name in ("classes.csv", "confusion.png", "report.html")]


def class_table(data: dict[str, Any]) -> str:
    """One row per class, as CSV: metrics between 0 and 1, empty where one is undefined."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["class", *COLUMNS, "reference_pixels", "predicted_pixels", "missed_pixels", "in_mean"]
    )
    matrix, missed = np.array(data["confusion_matrix"]), data["missed"]
    actual, predicted = matrix.sum(axis=1) + missed, matrix.sum(axis=0)
    for index, name in enumerate(data["classes"]):
        metrics = [data[column][name] for column in COLUMNS]  # csv writes None as nothing
        counts = [actual[index], predicted[index], missed[index]]
        in_mean = "yes" if name in data["classes_in_mean"] else "no"
        writer.writerow([name, *metrics, *counts, in_mean])
    return text.getvalue()


def confusion_plot(data: dict[str, Any]) -> bytes:
    """The confusion matrix as a PNG: each row in percent of the reference's pixels of its class."""
    # matplotlib takes half a second to import. Without pyplot it needs no display.
    from matplotlib.figure import Figure

    counts, columns = np.array(data["confusion_matrix"], np.float64), list(data["classes"])
    if any(data["missed"]):
        counts = np.column_stack([counts, data["missed"]])
        columns.append("missed")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    size = (0.62 * len(columns) + 2.6, 0.5 * len(counts) + 2.2)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    slanted: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), columns, parse_math=False, **slanted)
    axes.set_yticks(range(len(counts)), data["classes"], parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("reference")
    axes.set_title("% of the reference's pixels of each class", fontsize=10)
    if len(counts) <= _NUMBERED:
        for (row, col), share in np.ndenumerate(shares):
            if np.isfinite(share):
                number = f"{share:.1f}" if share >= 0.05 else "0"
                color = "w" if share > 55 else "0.2"  # white on dark blue
                axes.text(col, row, number, ha="center", va="center", fontsize=8, color=color)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
