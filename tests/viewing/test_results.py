"""What a run has left to show, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.errors import ConfigError
from geoseg.viewing import read_results

Predict = Callable[..., Path]


def test_files_are_found_where_the_folder_is_now_and_lines_say_what_is_gone(
    predict: Predict, tmp_path: Path
) -> None:
    out = predict(vectors="fgb,shp").rename(tmp_path / "moved")
    found = read_results(out)
    assert found.classes == [out / "0_classes.tif", out / "1_classes.tif"]
    assert found.confidence == [out / "0_confidence.tif", out / "1_confidence.tif"]
    assert found.polygons == [out / "0_polygons.fgb", out / "1_polygons.fgb"]
    assert [path.name for path in found.imagery] == ["0.tif", "1.tif"]
    assert (found.uncertain, found.lines) == (False, [])
    shutil.rmtree(tmp_path / "town")
    (out / "1_confidence.tif").unlink()
    found = read_results(out)
    assert (found.imagery, len(found.confidence)) == ([], 1)
    assert sorted(line.partition(": ")[2] for line in found.lines) == [
        "is not there any more",
        "the imagery is not there any more",
        "the imagery is not there any more",
    ]


@pytest.mark.parametrize(
    ("options", "classes", "polygons"),
    [
        ({"merge": True}, ["0_classes.tif", "1_classes.tif"], ["town_polygons.gpkg"]),
        pytest.param(
            {"mosaic": "one"}, ["town_classes.tif"], ["town_polygons.gpkg"], marks=pytest.mark.slow
        ),
    ],
)
def test_merged_layers_and_mosaics_are_shown_with_their_imagery(
    predict: Predict, options: dict[str, str], classes: list[str], polygons: list[str]
) -> None:
    found = read_results(predict(crs="EPSG:32632", **options))
    assert found.crs == "EPSG:32632"
    assert [path.name for path in found.classes] == classes
    assert [path.name for path in found.polygons] == polygons
    assert [path.name for path in found.imagery] == ["0.tif", "1.tif"]


def test_a_file_outside_the_folder_is_none_of_the_runs(predict: Predict, tmp_path: Path) -> None:
    out = predict(vectors="none")
    shutil.copy(out / "0_classes.tif", tmp_path / "secret.tif")
    report = json.loads((out / "report.json").read_text())
    report["inputs"][0]["outputs"]["classes"] = str(tmp_path / "secret.tif")
    report["inputs"][1]["outputs"]["classes"] = "../secret.tif"
    (out / "report.json").write_text(json.dumps(report))
    with pytest.raises(ConfigError, match=r"no class raster that .* names is there"):
        read_results(out)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "holds no report.json; give the --out of a geoseg predict"),
        ("{", "cannot be read .*; run geoseg predict again"),
        ("[]", "is no report of geoseg predict"),
        ('{"geoseg": "1", "inputs": []}', "the run has finished no input"),
        ('{"geoseg": "1", "inputs": [{"path": "a.tif", "error": "b"}]}', "has finished no input"),
    ],
)
def test_folders_without_results_are_refused(tmp_path: Path, text: str | None, said: str) -> None:
    (tmp_path / "odd/report.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"odd/report\.json: cannot be read \(Is a dir.*\); make"):
        read_results(tmp_path / "odd")
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_results(tmp_path)
    file = tmp_path / "a.tif"
    file.touch()
    with pytest.raises(ConfigError, match=r"a\.tif: no such folder; give the --out of"):
        read_results(file)
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        read_results(tmp_path / "nowhere")
