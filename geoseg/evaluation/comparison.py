"""The files of a comparison: figures as JSON, a table as CSV, and a plot."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from geoseg.files import replace_file
from geoseg.report import finite


def write_comparison(folder: Path, data: dict[str, Any], figures: Sequence[str]) -> dict[str, Path]:
    """Write all of them, each in one step; their paths by kind.

    Raises:
        OutputError: one cannot be written.
    """
    paths = {kind: folder / f"compare.{kind}" for kind in ("csv", "png", "json")}
    with replace_file(paths["csv"]) as made:
        made.write_text(comparison_table(data, figures), encoding="utf-8")
    with replace_file(paths["png"]) as made:
        _plot(data, figures).savefig(made, format="png")
    with replace_file(paths["json"]) as made:
        made.write_text(
            json.dumps(finite(data), indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )
    return paths


def comparison_table(data: dict[str, Any], figures: Sequence[str]) -> str:
    """One row a variant, as CSV; the difference is to the baseline, with its 95 % interval."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = ("mean", "std", "difference", "low", "high")
    writer.writerow(
        [
            "variant",
            "seeds",
            "parameters",
            "seconds",
            *(f"{f}_{part}" for f in figures for part in parts),
        ]
    )
    for name, entry in data["variants"].items():
        row: list[Any] = [
            name,
            len(entry["seeds"]),
            entry["parameters"],
            round(entry["seconds"], 1),
        ]
        for figure in figures:
            known = [
                entry[figure]["mean"],
                entry[figure]["std"],
                *entry[figure].get("difference", ()),
            ]
            row += [
                "" if value is None or not math.isfinite(value) else round(value, 6)
                for value in known
            ]
            row += [""] * (len(parts) - len(known))
        writer.writerow(row)
    return text.getvalue()


def _plot(data: dict[str, Any], figures: Sequence[str]) -> Any:
    """Each run a point, each variant's mean a bar across, one panel a figure."""
    # matplotlib takes half a second to import. Without pyplot it keeps no global state and needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(data["variants"])
    figure = Figure(
        figsize=(4 * len(figures) + 1, 0.4 * len(names) + 1.2), dpi=100, layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(figures), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, figures, strict=True):
        for row, name in enumerate(names):
            entry = data["variants"][name][kind]
            axes.plot(entry["runs"], [row] * len(entry["runs"]), "o", color="tab:blue", alpha=0.6)
            axes.plot([entry["mean"]], [row], "|", color="black", markersize=16)
        if data["baseline"] in names:
            axes.axvline(
                data["variants"][data["baseline"]][kind]["mean"],
                color="0.6",
                linewidth=0.8,
                linestyle="--",
            )
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_xlabel(kind.replace("_", " "))
    panels[0].invert_yaxis()
    return figure
