from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

import pytest

from geoseg.classes import ClassScheme
from geoseg.evaluation.html_report import html_report
from geoseg.evaluation.largest_errors import ErrorCell

SCHEME = ClassScheme(("<road>", "roof"), ((255, 255, 255), (0, 0, 255)), ((0,), (1,)))
PROTOCOL = {"protocol": "plain", "about_protocol": "every class & pixel", "erode": 0}


def data(**changes: Any) -> dict[str, Any]:
    metrics = {"<road>": 0.5, "roof": None}
    return {
        **PROTOCOL,
        "geoseg": "1.2.3",
        "classes": ["<road>", "roof"],
        "classes_in_mean": ["<road>"],
        "classes_in_accuracy": ["<road>", "roof"],
        "absent_classes": ["roof"],
        "overall_accuracy": 0.6666,
        "kappa": 0.25,
        "mean_iou": 0.5,
        "mean_f1": 0.75,
        "mean_boundary_f1": None,
        "mean_iou_of_all_classes": 0.5,
        "mean_f1_of_all_classes": 0.75,
        "boundary_tolerance": 3,
        "pixels": 12_345,
        "confusion_matrix": [[10_000, 2_345], [0, 0]],
        "missed": [1_000, 0],
        "iou": metrics,
        "f1": {"<road>": 0.11111, "roof": 0.2},
        "precision": {"<road>": 0.3, "roof": 0.4},
        "recall": {"<road>": 0.6, "roof": 0.7},
        "boundary_f1": {"<road>": 0.8, "roof": 0.9},
        "files": [entry("b.tif", 0.9), entry("a.tif", 0.2), entry("none.tif", None)],
        "warnings": [],
        "notes": [],
        "failures": [],
        **changes,
    }


def entry(name: str, mean_iou: float | None, resampled: bool = False) -> dict[str, Any]:
    metrics = {"mean_iou": mean_iou, "mean_f1": 0.4, "overall_accuracy": 0.3}
    return {"predicted": name, "resampled": resampled, "pixels": 1_000, **metrics}


def page(cells: tuple[ErrorCell, ...] = (), **changes: Any) -> str:
    return html_report(data(**changes), SCHEME, b"plot", cells)


def rows(html: str, title: str) -> list[list[str]]:
    """The cells of the table below a title, as text."""
    table = html[html.index(f"<h2>{title}</h2>") :].split("</table>")[0]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    return [
        [re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", line)]
        for line in lines
    ]


def test_the_page_needs_no_other_file_and_names_are_escaped() -> None:
    html = page()
    assert "&lt;road&gt;" in html
    assert "<road>" not in html
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert "http" not in html
    assert b64decode(re.findall(r"base64,([^\"]+)", html)[0]) == b"plot"
    assert "every class &amp; pixel" in html
    assert "geoseg 1.2.3" in html


def test_the_most_important_metrics_come_first() -> None:
    headline = re.findall("<div><b>(.*?)</b>(.*?)</div>", page())
    assert headline == [
        ("50.00", "mean IoU, %"),
        ("75.00", "mean F1, %"),
        ("66.66", "overall accuracy, %"),
        ("0.2500", "kappa"),
        ("–", "boundary F1, %"),
    ]
    assert "<b>–</b>kappa" in page(kappa=None)


@pytest.mark.parametrize(
    ("changes", "sentence", "without"),
    [
        ({}, "Reference as given, not eroded here.", "by a disc of"),
        ({"erode": 1}, "Reference eroded by a disc of 1 px.", "as given, not"),
        ({}, "The means are over 1 classes: &lt;road&gt;.", "Over all classes"),
        ({}, "over pixels of &lt;road&gt;, roof: 12,345 pixels.", "Left out"),
        ({}, "The reference shows no roof: in no mean, whatever was predicted.", "Warnings"),
        ({"absent_classes": []}, "within 3 px of each other", "The reference shows no"),
        (
            {"mean_iou_of_all_classes": 0.25, "mean_f1_of_all_classes": 0.125},
            "Over all classes of the reference, mean IoU is 25.00 % and mean F1 12.50 %.",
            "Largest errors",
        ),
    ],
)
def test_sentences_say_what_the_metrics_are_of(changes: dict, sentence: str, without: str) -> None:
    html = page(**changes)
    assert sentence in html
    assert without not in html


def test_the_table_of_classes_has_metrics_in_percent_and_pixels() -> None:
    table = [", ".join(cells) for cells in rows(page().replace(",", ""), "Classes")]
    assert table == [
        "class, IoU, F1, precision, recall, boundary F1, reference px, predicted px, missed px, "
        "in mean",
        "&lt;road&gt;, 50.00, 11.11, 30.00, 60.00, 80.00, 13345, 10000, 1000, yes",
        "roof, –, 20.00, 40.00, 70.00, 90.00, 0, 2345, 0, no",
    ]
    assert "<td>13,345</td><td>10,000</td><td>1,000</td>" in page()
    assert 'background: rgb(255, 255, 255)"></span>&lt;road&gt;' in page()
    assert re.search(r'<tr class="absent"><td>[^/]*</span>roof', page())
    assert re.search(r'<tr class=""><td>[^/]*</span>&lt;road', page())


def test_the_worst_prediction_comes_first_and_resampled_ones_say_so() -> None:
    files = [entry("b.tif", 0.9), entry("a&.tif", 0.2, resampled=True), entry("none.tif", None)]
    table = rows(page(files=files), "Files")
    assert [row[:2] for row in table[1:]] == [
        ["none.tif", "–"],
        ["a&amp;.tif (resampled)", "20.00"],
        ["b.tif", "90.00"],
    ]
    assert table[0] == ["prediction, worst first", "mean IoU", "mean F1", "accuracy", "pixels"]
    assert table[1][2:] == ["40.00", "30.00", "1,000"]


def test_objects_have_a_table_of_ranges() -> None:
    bins = [
        {"from": 0, "to": 2500, "objects": 3, "mean": 0.5},
        {"from": 2500, "to": None, "objects": 0, "mean": None},
    ]
    html = page(scale_iou={"objects": 3, "mean": 0.25, "bins": bins})
    assert rows(html, "Scale-sensitive IoU") == [
        ["area of the object, px", "objects", "mS-IoU"],
        ["0 to below 2,500", "3", "50.00"],
        ["2,500 to any", "0", "–"],
        ["all", "3", "25.00"],
    ]
    assert "Scale-sensitive IoU" not in page()


def test_the_largest_errors_are_shown_as_pictures() -> None:
    cells = (
        ErrorCell("<a>, rows 0 to 9", "middle at <x>", 1_234, b"zero", b"one", b"two", b"three"),
        ErrorCell("b", "", 1, None, b"four", b"five", b"six"),
    )
    html = page(cells)
    pictures = [b64decode(text) for text in re.findall(r"base64,([^\"]+)", html)]
    assert pictures == [b"plot", b"zero", b"one", b"two", b"three", b"four", b"five", b"six"]
    assert "<p>&lt;a&gt;, rows 0 to 9: 1,234 pixels wrong<br>" in html
    assert ">middle at &lt;x&gt;</span></p>" in html
    assert "<p>b: 1 pixels wrong</p>" in html
    captions = re.findall("<figcaption>(.*?)</figcaption>", html)
    assert captions[:4] == ["imagery", "reference", "predicted", "wrong red, missed violet"]
    assert captions[4:] == captions[1:4]


def test_white_classes_and_what_has_no_label_can_be_told_from_the_page() -> None:
    html = page((ErrorCell("a", "", 1, None, b"one", b"two", b"three"),))
    legend = html[html.index('<div class="legend">') :].split("</div>")[0]
    swatch = '<span class="swatch" style="background: rgb(255, 255, 255)"></span>&lt;road&gt;'
    assert swatch in legend
    assert '<span class="key"></span>no label' in legend
    for rule in (".swatch, .key {", ".errors img {"):
        assert "border: 1px solid #444" in html.split(rule)[1].split("}")[0]
    checkered = html.split(".errors img, .key {")[1].split("}")[0]
    assert "background-image: linear-gradient" in checkered


def test_kinds_of_errors_are_listed_where_they_are_written() -> None:
    kinds = [
        {"kind": f"<{n}>", "reference": "a", "predicted": "b", "pixels": 3 * (n < 12)}
        for n in range(13)
    ]
    html = page(errors={"kinds": kinds, "regions": 1234, "regions_listed": 1000})
    table = rows(html, "Kinds of errors")
    assert table[:2] == [["error", "pixels", "% of all errors"], ["&lt;0&gt;", "3", "8.33"]]
    assert len(table) == 11
    assert "2 more kinds in metrics.json" in html
    assert "the largest 1,000 of 1,234 wrong regions" in html
    assert "Kinds of errors" not in page()


def test_notes_stand_above_the_places() -> None:
    assert '<p class="note">no <imagery>' not in page(notes=["no <imagery>"])
    assert '<p class="note">no &lt;imagery&gt;</p>' in page(notes=["no <imagery>"])


def test_warnings_and_what_was_left_out_are_listed() -> None:
    html = page(warnings=["one <w>", "two"], failures=["three"])
    assert "<h2>Warnings</h2><ul><li>one &lt;w&gt;</li><li>two</li></ul>" in html
    assert "<h2>Left out</h2><ul><li>three</li></ul>" in html


def test_the_page_is_whole_html() -> None:
    html = page()
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert html.endswith("</body></html>\n")
    assert html.count("<table>") == html.count("</table>") == 2
    assert "<style>" in html
    assert "\n\n" not in html.split("</style>")[1]
