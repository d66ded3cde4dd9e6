"""Trained variants side by side: mean, spread and paired differences, as table, text and plot."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from geoseg.files import replace_file
from geoseg.metrics.paired import paired_difference
from geoseg.own_reports import refuse_foreign_report
from geoseg.report import finite

METRICS = ("mean_iou", "mean_f1", "overall_accuracy")
"""What is compared, on the validation tiles after the last step."""
COMPARISON = "compare.json"
"""The file that says that all of a comparison is there."""


def compare_results(
    results: Mapping[str, Mapping[int, Mapping[str, Any]]], baseline: str
) -> dict[str, dict[str, Any]]:
    """Each variant with a result: its runs, and how far it is from the baseline; ready for JSON.

    Args:
        results: by variant and seed, what `train` reports of a run.
        baseline: name of a variant. Differences to it are over the seeds that both have; none where
            they share no seed.
    """
    compared = {}
    for variant, runs in results.items():
        if not runs:
            continue
        entry: dict[str, Any] = {
            "seeds": list(runs),
            "parameters": next(iter(runs.values()))["parameters"]["all"],
            "seconds": fmean(run["seconds"]["total"] for run in runs.values()),
        }
        shared = [seed for seed in runs if seed in results.get(baseline, {})]
        for metric in METRICS:
            values = {seed: run["validation"][metric] for seed, run in runs.items()}
            numbers = list(values.values())
            std = stdev(numbers) if len(numbers) > 1 else None
            entry[metric] = {"runs": numbers, "mean": fmean(numbers), "std": std}
            if shared:
                others = [results[baseline][seed]["validation"][metric] for seed in shared]
                own = [values[seed] for seed in shared]
                entry[metric]["difference"] = list(paired_difference(own, others))
        compared[variant] = entry
    return compared


def write_comparison(folder: Path, data: Mapping[str, Any]) -> dict[str, Path]:
    """Write ``compare.csv``, ``compare.png`` and ``compare.json``; their paths by kind.

    Args:
        folder: of the comparison.
        data: `variants` as `compare_results` gives them, the name of the `baseline`, and more.

    Raises:
        OutputError: one cannot be written.
    """
    document = json.dumps(finite(data), indent=2, allow_nan=False) + "\n"
    with replace_file(folder / COMPARISON, companions=_companions) as built:
        table, picture = _companions(built)
        table.write_bytes(comparison_table(data["variants"]).encode())
        _plot(data["variants"], data["baseline"]).savefig(picture, format="png")
        built.write_bytes(document.encode())
    paths = [*_companions(folder / COMPARISON), folder / COMPARISON]
    return {path.suffix.removeprefix("."): path for path in paths}


def refuse_foreign_files(folder: Path) -> None:
    """Refuse to replace files that are not a comparison's.

    Raises:
        OutputError: with the first of them.
    """
    keys = ("baseline", "variants")
    refuse_foreign_report(folder / COMPARISON, keys, "compare", companions=_companions)


def _companions(comparison: Path) -> list[Path]:
    return [comparison.with_suffix(suffix) for suffix in (".csv", ".png")]


def comparison_table(variants: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each variant, as CSV; differences are to the baseline, with 95 % intervals."""
    parts = ("mean", "std", "difference", "low", "high")
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{metric}_{part}" for metric in METRICS for part in parts]
    writer.writerow(["variant", "seeds", "parameters", "seconds", *columns])
    for name, entry in variants.items():
        row = [name, len(entry["seeds"]), entry["parameters"], round(entry["seconds"], 1)]
        for metric in METRICS:
            found = entry[metric]
            difference = found.get("difference", (None, None, None))
            row += map(_csv_number, (found["mean"], found["std"], *difference))
        writer.writerow(row)
    return text.getvalue()


def _csv_number(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else round(value, 6)


def comparison_text(variants: Mapping[str, Mapping[str, Any]], baseline: str) -> str:
    """One line for each variant: mean and standard deviation over the seeds, and the difference."""
    width = max(len(name) for name in ("variant", *variants))
    names = "  ".join(f"{metric:<17}" for metric in METRICS)
    lines = [f"{'':<{width}}  seeds  {names}  mean_iou against {baseline} (95 % interval)"]
    for name, entry in variants.items():
        cells = "  ".join(f"{_cell(entry[metric]):<17}" for metric in METRICS)
        line = f"{name:<{width}}  {len(entry['seeds']):>5}  {cells}"
        if name != baseline and "difference" in entry["mean_iou"]:
            mean, low, high = entry["mean_iou"]["difference"]
            line += f"  {mean:+.4f} ({low:+.4f} to {high:+.4f})"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _cell(found: Mapping[str, Any]) -> str:
    return f"{found['mean']:.4f}" + ("" if found["std"] is None else f" ± {found['std']:.4f}")


def _plot(variants: Mapping[str, Mapping[str, Any]], baseline: str) -> Any:
    """Each run a point, each variant's mean a bar across, one panel for each metric."""
    # matplotlib takes half a second to import. Without pyplot it keeps no global state, and needs
    # no display.
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(4 * len(METRICS) + 1, 0.4 * len(variants) + 1.2), dpi=100, layout="constrained"
    )
    panels = figure.subplots(1, len(METRICS), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, METRICS, strict=True):
        for row, entry in enumerate(variants.values()):
            runs = entry[metric]["runs"]
            axes.plot(runs, [row] * len(runs), "o", color="tab:blue", alpha=0.6)
            axes.plot([entry[metric]["mean"]], [row], "|", color="black", markersize=16)
        if baseline in variants:
            axes.axvline(
                variants[baseline][metric]["mean"], color="0.6", linewidth=0.8, linestyle="--"
            )
        axes.set_yticks(range(len(variants)), list(variants), parse_math=False)
        axes.set_xlabel(metric.replace("_", " "))
    panels[0].invert_yaxis()
    return figure
