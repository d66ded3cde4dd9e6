from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from geoseg.errors import OutputError
from geoseg.evaluation.comparison import (
    compare_results,
    comparison_table,
    comparison_text,
    refuse_foreign_files,
    write_comparison,
)
from geoseg.metrics.paired import paired_difference


def result(iou: float, seconds: float = 10.0) -> dict[str, Any]:
    validation = {"mean_iou": iou, "mean_f1": iou + 0.1, "overall_accuracy": iou + 0.2}
    return {
        "validation": validation,
        "parameters": {"encoder": 1, "all": 1234},
        "seconds": {"compute": 1.0, "total": seconds},
    }


RESULTS = {
    "fcn": {0: result(0.5), 1: result(0.54)},
    "hcnet": {0: result(0.6, 20.0), 1: result(0.58, 40.0), 2: result(0.65, 30.0)},
    "late": {2: result(0.4)},
    "none": {},
}


def test_means_and_spreads_are_over_all_seeds_and_differences_over_shared_ones() -> None:
    compared = compare_results(RESULTS, "fcn")
    assert list(compared) == ["fcn", "hcnet", "late"]
    hcnet = compared["hcnet"]
    assert (hcnet["seeds"], hcnet["parameters"], hcnet["seconds"]) == ([0, 1, 2], 1234, 30.0)
    assert hcnet["mean_iou"]["runs"] == [0.6, 0.58, 0.65]
    assert hcnet["mean_iou"]["mean"] == pytest.approx(0.61)
    assert hcnet["mean_iou"]["std"] == pytest.approx(0.0360555)
    expected = list(paired_difference([0.6, 0.58], [0.5, 0.54]))
    assert hcnet["mean_iou"]["difference"] == expected
    assert hcnet["overall_accuracy"]["mean"] == pytest.approx(0.81)
    assert compared["fcn"]["mean_f1"]["difference"] == [0, 0, 0]
    assert compared["late"]["mean_iou"] == {"runs": [0.4], "mean": 0.4, "std": None}


def test_without_the_baseline_there_are_no_differences() -> None:
    assert "difference" not in compare_results(RESULTS, "unet")["fcn"]["mean_iou"]


def test_the_table_has_a_row_for_each_variant_and_leaves_out_what_is_undefined() -> None:
    rows = list(csv.DictReader(StringIO(comparison_table(compare_results(RESULTS, "fcn")))))
    assert [row["variant"] for row in rows] == ["fcn", "hcnet", "late"]
    assert list(rows[0])[:6] == [
        "variant", "seeds", "parameters", "seconds", "mean_iou_mean", "mean_iou_std",
    ]  # fmt: skip
    assert list(rows[0])[6:9] == ["mean_iou_difference", "mean_iou_low", "mean_iou_high"]
    _, hcnet, late = rows
    low, high = paired_difference([0.6, 0.58], [0.5, 0.54])[1:]
    assert (hcnet["seeds"], hcnet["seconds"]) == ("3", "30.0")
    assert float(hcnet["mean_iou_difference"]) == 0.07
    assert float(hcnet["mean_iou_low"]) == round(low, 6)
    assert float(hcnet["mean_iou_high"]) == round(high, 6)
    assert float(hcnet["overall_accuracy_mean"]) == 0.81
    assert (late["mean_iou_std"], late["mean_iou_difference"], late["mean_iou_low"]) == ("",) * 3
    one_seed = compare_results({"a": {0: result(0.5)}, "b": {0: result(0.6)}}, "a")
    second = list(csv.DictReader(StringIO(comparison_table(one_seed))))[1]
    assert (second["mean_iou_difference"], second["mean_iou_low"]) == ("0.1", "")


def test_the_text_sets_means_spreads_and_differences_side_by_side() -> None:
    lines = comparison_text(compare_results(RESULTS, "fcn"), "fcn").splitlines()
    low, high = paired_difference([0.6, 0.58], [0.5, 0.54])[1:]
    assert lines == [
        "         seeds  mean_iou           mean_f1            overall_accuracy   "
        "mean_iou against fcn (95 % interval)",
        "fcn          2  0.5200 ± 0.0283    0.6200 ± 0.0283    0.7200 ± 0.0283",
        "hcnet        3  0.6100 ± 0.0361    0.7100 ± 0.0361    0.8100 ± 0.0361    "
        f"+0.0700 ({low:+.4f} to {high:+.4f})",
        "late         1  0.4000             0.5000             0.6000",
    ]


def test_the_plot_shows_each_run_each_mean_and_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: figures.append(self))
    write_comparison(tmp_path, {"baseline": "fcn", "variants": compare_results(RESULTS, "fcn")})
    panels = figures[0].axes
    assert [axes.get_xlabel() for axes in panels] == ["mean iou", "mean f1", "overall accuracy"]
    lines = [tuple(map(list, line.get_data())) for line in panels[0].lines]
    assert lines[2] == ([0.6, 0.58, 0.65], [1, 1, 1])
    assert lines[3] == ([pytest.approx(0.61)], [1])
    assert lines[-1][0] == [pytest.approx(0.52)] * 2
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["fcn", "hcnet", "late"]
    assert panels[0].yaxis_inverted()


def test_all_files_are_written_and_infinities_become_text(tmp_path: Path) -> None:
    one_seed = compare_results({"a": {0: result(0.5)}, "b": {0: result(0.6)}}, "a")
    paths = write_comparison(tmp_path, {"baseline": "a", "variants": one_seed, "failures": []})
    assert paths == {kind: tmp_path / f"compare.{kind}" for kind in ("csv", "png", "json")}
    assert paths["csv"].read_text() == comparison_table(one_seed)
    assert paths["png"].read_bytes().startswith(b"\x89PNG")
    document = json.loads(paths["json"].read_text())
    assert document["failures"] == []
    assert document["variants"]["b"]["mean_iou"]["difference"] == [
        pytest.approx(0.1),
        "-inf",
        "inf",
    ]


@pytest.mark.parametrize("name", ["compare.csv", "compare.png", "compare.json"])
def test_files_of_another_origin_are_refused(tmp_path: Path, name: str) -> None:
    refuse_foreign_files(tmp_path)
    (tmp_path / name).write_text("the user's own")
    with pytest.raises(OutputError, match=f"{name} exists and was not written by geoseg compare"):
        refuse_foreign_files(tmp_path)
    (tmp_path / name).unlink()
    write_comparison(tmp_path, {"baseline": "fcn", "variants": compare_results(RESULTS, "fcn")})
    refuse_foreign_files(tmp_path)
