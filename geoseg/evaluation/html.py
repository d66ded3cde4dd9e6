"""The report of an evaluation: one HTML file that needs no other."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from geoseg.classes import ClassScheme
from geoseg.evaluation.worst_places import Place

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; } th { font-weight: 600; }
.big { display: flex; gap: 2.5rem; flex-wrap: wrap; } .big b { display: block; font-size: 1.7rem; }
.swatch { display: inline-block; width: .9em; height: .9em; border: 1px solid #888; margin-right: .5em; }
.place { display: flex; gap: .6rem; flex-wrap: wrap; } .place figure { margin: 0; }
.place img { width: 300px; image-rendering: pixelated; border: 1px solid #ccc; }
figcaption, .note { color: #555; font-size: .9em; } img { max-width: 100%; }
.absent { color: #999; }
"""


def html_report(
    data: dict[str, Any], scheme: ClassScheme, plot: bytes, places: Sequence[Place]
) -> str:
    """The page.

    Args:
        data: the content of ``metrics.json``.
        scheme: for the classes' colours.
        plot: the confusion matrix, PNG.
        places: the worst places.
    """
    parts = [
        "<h1>Evaluation</h1>",
        _headline(data),
        f"<p>{_statement(data)}</p>",
        "<h2>Classes</h2>",
        _class_table(data, scheme),
        "<h2>Confusion matrix</h2>",
        f'<img alt="confusion matrix" src="{_embedded(plot)}">',
        _scales(data),
        "<h2>Worst places</h2>" if places else "",
        *(_place(place) for place in places),
        "<h2>Files</h2>",
        _file_table(data),
        _lines("Left out", data["failures"]),
        _lines("Warnings", data["warnings"]),
        f'<p class="note">geoseg {escape(data["geoseg"])}; all figures stand in metrics.json beside this page.</p>',
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _headline(data: dict[str, Any]) -> str:
    shown = {
        "mean IoU, %": _share(data["mean_iou"]),
        "mean F1, %": _share(data["mean_f1"]),
        "overall accuracy, %": _share(data["overall_accuracy"]),
        "kappa": "–" if data["kappa"] is None else f"{data['kappa']:.4f}",
        "boundary F1, %": _share(data["mean_boundary_f1"]),
    }
    cells = "".join(f"<div><b>{value}</b>{name}</div>" for name, value in shown.items())
    return f'<div class="big">{cells}</div>'


def _statement(data: dict[str, Any]) -> str:
    """What the figures are figures of, in sentences."""
    eroded = data["erode"]
    sentences = [
        f"Protocol <b>{escape(data['protocol'])}</b> ({escape(data['about_protocol'])}).",
        f"Reference eroded by a disc of {eroded} px."
        if eroded
        else "Reference as it came, not eroded here.",
        f"The means are over {len(data['classes_in_mean'])} classes: {escape(', '.join(data['classes_in_mean']))}.",
        f"The accuracy is over pixels of {escape(', '.join(data['classes_in_accuracy']))}: {data['pixels']:,} pixels.",
    ]
    if data["absent_classes"]:
        sentences.append(
            f"The reference shows no {escape(', '.join(data['absent_classes']))}: in no mean, whatever was predicted."
        )
    if data["mean_iou_of_all_classes"] != data["mean_iou"]:
        iou, f1 = _share(data["mean_iou_of_all_classes"]), _share(data["mean_f1_of_all_classes"])
        sentences.append(
            f"Over all classes of the reference, mean IoU is {iou} % and mean F1 {f1} %."
        )
    sentences.append(
        f"Boundary F1 counts borders within {data['boundary_tolerance']} px of each other, on the reference as it came."
    )
    return " ".join(sentences)


def _class_table(data: dict[str, Any], scheme: ClassScheme) -> str:
    matrix = np.array(data["confusion_matrix"])
    actual = matrix.sum(axis=1) + data["missed"]
    predicted = matrix.sum(axis=0)
    rows = []
    for index, (name, color) in enumerate(zip(data["classes"], scheme.colors, strict=True)):
        swatch = f'<span class="swatch" style="background: rgb{color}"></span>{escape(name)}'
        shares = [
            _share(data[kind][name]) for kind in ("iou", "f1", "precision", "recall", "boundary_f1")
        ]
        counts = [f"{actual[index]:,}", f"{predicted[index]:,}", f"{data['missed'][index]:,}"]
        mark = "yes" if name in data["classes_in_mean"] else "no"
        rows.append(([swatch, *shares, *counts, mark], "" if actual[index] else "absent"))
    head = [
        "class",
        "IoU",
        "F1",
        "precision",
        "recall",
        "boundary F1",
        "reference px",
        "predicted px",
        "missed px",
        "in mean",
    ]
    return _table(head, rows)


def _scales(data: dict[str, Any]) -> str:
    if "scale_iou" not in data:
        return ""
    scales = data["scale_iou"]
    rows = [
        (
            [
                f"{part['from']:,} to "
                + ("any" if part["to"] is None else f"below {part['to']:,}"),
                part["objects"],
                _share(part["mean"]),
            ],
            "",
        )
        for part in scales["bins"]
    ]
    rows.append((["all", scales["objects"], _share(scales["mean"])], ""))
    table = _table(["area of the object, px", "objects", "mS-IoU"], rows)
    return f"<h2>Scale-sensitive IoU</h2>\n{table}"


def _place(place: Place) -> str:
    pictures = {
        "reference": place.reference,
        "predicted": place.predicted,
        "wrong red, missed violet, not judged grey": place.difference,
    }
    figures = "".join(
        f'<figure><img alt="{caption}" src="{_embedded(picture)}"><figcaption>{caption}</figcaption></figure>'
        for caption, picture in pictures.items()
    )
    return f'<p>{escape(place.title)}: {place.wrong:,} pixels wrong</p>\n<div class="place">{figures}</div>'


def _file_table(data: dict[str, Any]) -> str:
    rows = []
    for entry in sorted(data["files"], key=lambda entry: entry["mean_iou"] or 0.0):
        shares = [_share(entry[key]) for key in ("mean_iou", "mean_f1", "overall_accuracy")]
        note = " (resampled)" if entry["resampled"] else ""
        rows.append(([escape(entry["predicted"]) + note, *shares, f"{entry['pixels']:,}"], ""))
    return _table(["prediction, worst first", "mean IoU", "mean F1", "accuracy", "pixels"], rows)


def _table(head: Iterable[str], rows: Iterable[tuple[Sequence[object], str]]) -> str:
    """Cells are HTML already; a row has a CSS class or none."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(
        f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
        for cells, kind in rows
    )
    return f"<table><tr>{top}</tr>\n{body}</table>"


def _lines(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<h2>{title}</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _share(figure: float | None) -> str:
    """In percent, without the sign."""
    return "–" if figure is None else f"{100 * figure:.2f}"
