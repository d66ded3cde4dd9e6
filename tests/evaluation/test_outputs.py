from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from geoseg.classes import ISPRS
from geoseg.commands.evaluate import run
from geoseg.datasets.pairing import Pair
from geoseg.evaluation.outputs import class_table, confusion_plot, write_outputs
from geoseg.evaluation.pairs import ScoringOptions, open_pair
from geoseg.evaluation.results import summarize_scores
from geoseg.evaluation.scoring import score_pair
from geoseg.metrics import PROTOCOLS

Make = Callable[..., Path]

NAMES = list(ISPRS.names)


def test_the_table_holds_each_class(pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = run(*pair, "isprs", tmp_path / "out", protocol="isprs-geoseg").data
    rows = list(csv.DictReader((tmp_path / "out/classes.csv").open()))
    assert [row["class"] for row in rows] == NAMES
    matrix = np.array(data["confusion_matrix"])
    for index, row in enumerate(rows):
        for column in ("iou", "f1", "precision", "recall", "boundary_f1"):
            value = data[column][row["class"]]
            assert row[column] == ("" if value is None else str(value))
        assert int(row["reference_pixels"]) == matrix[index].sum() + data["missed"][index]
        assert int(row["predicted_pixels"]) == matrix[:, index].sum()
        assert int(row["missed_pixels"]) == data["missed"][index]
        assert row["in_mean"] == ("yes" if row["class"] in data["classes_in_mean"] else "no")
    assert {row["in_mean"] for row in rows} == {"yes", "no"}
    assert "" in {row["boundary_f1"] for row in rows}
    assert class_table(data) == (tmp_path / "out/classes.csv").read_text()


def test_all_files_are_written_and_metrics_hold_the_data(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ScoringOptions(ISPRS, 0, False, 3, False)
    scores = [score_pair(open_pair(Pair("ä", *pair), None, options), options)]
    data = summarize_scores(scores, options, PROTOCOLS["plain"]) | {"warnings": [], "failures": []}
    data["notes"] = []
    write_outputs(tmp_path / "new/out", data, [], ISPRS)
    assert sorted(path.name for path in (tmp_path / "new/out").iterdir()) == [
        "classes.csv",
        "confusion.png",
        "metrics.json",
        "report.html",
    ]
    assert json.loads((tmp_path / "new/out/metrics.json").read_text()) == data
    plot = (tmp_path / "new/out/confusion.png").read_bytes()
    assert plot == confusion_plot(data)
    assert imread(BytesIO(plot)).ndim == 3
    with pytest.raises(ValueError, match="Out of range float values"):
        write_outputs(tmp_path / "new/out", data | {"kappa": float("nan")}, [], ISPRS)


def plotted(matrix: list[list[int]], missed: list[int], monkeypatch: Any) -> Any:
    """The axes of the plot, which is not drawn."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kwargs: figures.append(self))
    names = [f"class $ {index}" for index in range(len(matrix))]
    confusion_plot({"confusion_matrix": matrix, "missed": missed, "classes": names})
    return figures[0].axes[0]


def test_the_plot_shows_percent_of_each_class_of_the_reference(monkeypatch: Any) -> None:
    axes = plotted([[6, 1, 1], [0, 0, 0], [9, 9991, 0]], [2, 0, 0], monkeypatch)
    (image,) = axes.images
    shares = np.ma.filled(image.get_array(), np.nan)
    expected = [[60, 10, 10, 20], [np.nan] * 4, [0.09, 99.91, 0, 0]]
    np.testing.assert_allclose(shares, expected)
    assert image.get_clim() == (0, 100)
    assert axes.figure.get_size_inches().tolist() == pytest.approx([0.62 * 4 + 2.6, 0.5 * 3 + 2.2])
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "class $ 0",
        "class $ 1",
        "class $ 2",
        "missed",
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"class $ {i}" for i in range(3)
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "reference")
    texts = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert texts == {
        (0, 0): ("60.0", "w"),
        (1, 0): ("10.0", "0.2"),
        (2, 0): ("10.0", "0.2"),
        (3, 0): ("20.0", "0.2"),
        (0, 2): ("0.1", "0.2"),
        (1, 2): ("99.9", "w"),
        (2, 2): ("0", "0.2"),
        (3, 2): ("0", "0.2"),
    }


def test_the_plot_has_no_column_of_missed_pixels_where_none_is(monkeypatch: Any) -> None:
    axes = plotted([[55, 45], [0, 1]], [0, 0], monkeypatch)
    assert len(axes.get_xticklabels()) == 2
    assert {text.get_color() for text in axes.texts if text.get_text() == "55.0"} == {"0.2"}


@pytest.mark.parametrize(("classes", "numbers"), [(30, 1), (31, 0)])
def test_the_plot_of_many_classes_has_no_numbers(
    classes: int, numbers: int, monkeypatch: Any
) -> None:
    matrix = np.zeros((classes, classes), int)
    matrix[:, 0] = 1
    monkeypatch.setattr(Axes, "text", lambda *args, **kw: written.append(args))
    written: list[Any] = []
    plotted(matrix.tolist(), [0] * classes, monkeypatch)
    assert len(written) == numbers * classes * classes
