"""The report of an evaluation: one HTML file that needs no other."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from geoseg.classes import ClassScheme
from geoseg.evaluation.largest_errors import ErrorCell

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; } th { font-weight: 600; }
.big { display: flex; gap: 2.5rem; flex-wrap: wrap; } .big b { display: block; font-size: 1.7rem; }
.swatch, .key { display: inline-block; width: .9em; height: .9em;
  border: 1px solid #444; margin-right: .5em; vertical-align: -.1em; }
.legend > span { margin-right: 1.4rem; }
.errors { display: flex; flex-wrap: wrap; } .errors figure { margin: 0 .5rem .3rem 0; }
.errors img { width: 232px; image-rendering: pixelated; border: 1px solid #444; }
.errors img, .key { background: #bbb; background-size: 16px 16px;
  background-image: linear-gradient(45deg, #888 25%, transparent 25%, transparent 75%, #888 75%),
  linear-gradient(45deg, #888 25%, transparent 25%, transparent 75%, #888 75%);
  background-position: 0 0, 8px 8px; }
figcaption, .note { color: #555; font-size: .9em; } img { max-width: 100%; }
.absent { color: #999; }
"""
_KINDS = 10
"""Of errors in the page's table, at most."""


def html_report(
    data: dict[str, Any], scheme: ClassScheme, plot: bytes, errors: Sequence[ErrorCell]
) -> str:
    """The page.

    Args:
        data: the content of ``metrics.json``.
        scheme: for the classes' colours.
        plot: the confusion matrix, PNG.
        errors: the places with the largest errors.
    """
    version = escape(data["geoseg"])
    parts = [
        "<h1>Evaluation</h1>",
        _headline(data),
        f"<p>{_protocol_text(data)}</p>",
        "<h2>Classes</h2>",
        _class_table(data, scheme),
        "<h2>Confusion matrix</h2>",
        f'<img alt="confusion matrix" src="{_embed(plot)}">',
        _scale_table(data),
        _confusion_table(data),
        f"<h2>Largest errors</h2>\n{_legend(data, scheme)}" if errors else "",
        *(f'<p class="note">{escape(line)}</p>' for line in data["notes"]),
        *(_error_pictures(cell) for cell in errors),
        "<h2>Files</h2>",
        _file_table(data),
        _list("Left out", data["failures"]),
        _list("Warnings", data["warnings"]),
        f'<p class="note">geoseg {version}; metrics.json beside this page holds all metrics.</p>',
    ]
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><title>Evaluation</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _headline(data: dict[str, Any]) -> str:
    metrics = {
        "mean IoU, %": _percent(data["mean_iou"]),
        "mean F1, %": _percent(data["mean_f1"]),
        "overall accuracy, %": _percent(data["overall_accuracy"]),
        "kappa": "–" if data["kappa"] is None else f"{data['kappa']:.4f}",
        "boundary F1, %": _percent(data["mean_boundary_f1"]),
    }
    cells = "".join(f"<div><b>{value}</b>{name}</div>" for name, value in metrics.items())
    return f'<div class="big">{cells}</div>'


def _protocol_text(data: dict[str, Any]) -> str:
    """What the metrics cover, in sentences."""
    in_mean, in_accuracy, absent = (
        escape(", ".join(data[key]))
        for key in ("classes_in_mean", "classes_in_accuracy", "absent_classes")
    )
    sentences = [
        f"Protocol <b>{escape(data['protocol'])}</b> ({escape(data['about_protocol'])}).",
        f"Reference eroded by a disc of {data['erode']} px."
        if data["erode"]
        else "Reference as given, not eroded here.",
        f"The means are over {len(data['classes_in_mean'])} classes: {in_mean}.",
        f"The accuracy is over pixels of {in_accuracy}: {data['pixels']:,} pixels.",
    ]
    if absent:
        sentences.append(f"The reference shows no {absent}: in no mean, whatever was predicted.")
    if data["mean_iou_of_all_classes"] != data["mean_iou"]:
        iou, f1 = (_percent(data[f"mean_{metric}_of_all_classes"]) for metric in ("iou", "f1"))
        sentences.append(
            f"Over all classes of the reference, mean IoU is {iou} % and mean F1 {f1} %."
        )
    sentences.append(
        f"Boundary F1 counts boundaries within {data['boundary_tolerance']} px of each other, on "
        "the reference as given."
    )
    return " ".join(sentences)


def _class_table(data: dict[str, Any], scheme: ClassScheme) -> str:
    metrics = {
        "IoU": "iou",
        "F1": "f1",
        "precision": "precision",
        "recall": "recall",
        "boundary F1": "boundary_f1",
    }
    matrix, missed = np.array(data["confusion_matrix"]), data["missed"]
    actual, predicted = matrix.sum(axis=1) + missed, matrix.sum(axis=0)
    rows = []
    for index, (name, color) in enumerate(zip(data["classes"], scheme.colors, strict=True)):
        swatch = f'<span class="swatch" style="background: rgb{color}"></span>{escape(name)}'
        shares = [_percent(data[key][name]) for key in metrics.values()]
        counts = [f"{pixels[index]:,}" for pixels in (actual, predicted, missed)]
        in_mean = "yes" if name in data["classes_in_mean"] else "no"
        rows.append(([swatch, *shares, *counts, in_mean], "" if actual[index] else "absent"))
    head = ["class", *metrics, "reference px", "predicted px", "missed px", "in mean"]
    return _table(head, rows)


def _scale_table(data: dict[str, Any]) -> str:
    if "scale_iou" not in data:
        return ""
    scales = data["scale_iou"]
    rows: list[tuple[Sequence[object], str]] = []
    for part in scales["bins"]:
        end = "any" if part["to"] is None else f"below {part['to']:,}"
        rows.append(([f"{part['from']:,} to {end}", part["objects"], _percent(part["mean"])], ""))
    rows.append((["all", scales["objects"], _percent(scales["mean"])], ""))
    table = _table(["area of the object, px", "objects", "mS-IoU"], rows)
    return f"<h2>Scale-sensitive IoU</h2>\n{table}"


def _confusion_table(data: dict[str, Any]) -> str:
    """Where errors are written too: which class in place of which, most pixels first."""
    if "errors" not in data:
        return ""
    kinds = [kind for kind in data["errors"]["kinds"] if kind["pixels"]]
    wrong = sum(kind["pixels"] for kind in kinds)
    rows: list[tuple[Sequence[object], str]] = [
        ([escape(kind["kind"]), f"{kind['pixels']:,}", _percent(kind["pixels"] / wrong)], "")
        for kind in kinds[:_KINDS]
    ]
    more = f"<p>{len(kinds) - _KINDS} more kinds in metrics.json.</p>" if kinds[_KINDS:] else ""
    files = (
        f"errors.gpkg holds the largest {data['errors']['regions_listed']:,} of "
        f"{data['errors']['regions']:,} wrong regions; the rasters *_errors.tif show all of them."
    )
    table = _table(["error", "pixels", "% of all errors"], rows)
    return f"<h2>Kinds of errors</h2>\n{table}{more}<p>{files}</p>"


def _legend(data: dict[str, Any], scheme: ClassScheme) -> str:
    """Of the pictures of places: classes, and what has no label."""
    entries = [
        f'<span><span class="swatch" style="background: rgb{color}"></span>{escape(name)}</span>'
        for name, color in zip(data["classes"], scheme.colors, strict=True)
    ]
    entries.append('<span><span class="key"></span>no label, or nothing predicted</span>')
    return f'<div class="legend">{"".join(entries)}</div>'


def _error_pictures(cell: ErrorCell) -> str:
    pictures = {
        "imagery": cell.imagery,
        "reference": cell.reference,
        "predicted": cell.predicted,
        "wrong red, missed violet": cell.difference,
    }
    figures = "".join(
        f'<figure><img alt="{caption}" src="{_embed(picture)}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, picture in pictures.items()
        if picture is not None
    )
    place = f'<br><span class="note">{escape(cell.place)}</span>' if cell.place else ""
    title = f"<p>{escape(cell.title)}: {cell.wrong:,} pixels wrong{place}</p>"
    return f'{title}\n<div class="errors">{figures}</div>'


def _file_table(data: dict[str, Any]) -> str:
    rows = []
    for entry in sorted(data["files"], key=lambda entry: entry["mean_iou"] or 0.0):
        name = escape(entry["predicted"]) + (" (resampled)" if entry["resampled"] else "")
        shares = [_percent(entry[key]) for key in ("mean_iou", "mean_f1", "overall_accuracy")]
        rows.append(([name, *shares, f"{entry['pixels']:,}"], ""))
    return _table(["prediction, worst first", "mean IoU", "mean F1", "accuracy", "pixels"], rows)


def _table(head: Iterable[str], rows: Iterable[tuple[Sequence[object], str]]) -> str:
    """Cells are HTML already; a row has a CSS class or none."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = ""
    for cells, kind in rows:
        body += f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
    return f"<table><tr>{top}</tr>\n{body}</table>"


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<h2>{title}</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _embed(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _percent(share: float | None) -> str:
    """In percent, without the sign."""
    return "–" if share is None else f"{100 * share:.2f}"
