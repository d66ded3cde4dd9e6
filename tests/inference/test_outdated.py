"""What earlier runs have left in the folder: it agrees with the report, goes, or is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from affine import Affine

import geoseg
from geoseg.inference import sheet_layers
from tests.conftest import GRID

Make = Callable[..., Path]


@pytest.fixture
def predict(make_raster: Make, model_file: Path, tmp_path: Path) -> Callable[..., Any]:
    """Runs into ``out`` over two sheets that adjoin."""
    for number in range(2):
        make_raster(
            f"town/{number}.tif", seed=number, transform=GRID @ Affine.translation(80 * number, 0)
        )

    def run(**options: Any) -> Any:
        options = {"preview": False, "vectors": "none"} | options
        report = geoseg.predict(tmp_path / "town", model_file, out=tmp_path / "out", **options)
        assert report.exit_code == 0, report.text
        return report

    return run


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir() if not path.name.startswith(".")}


def test_what_the_run_would_have_made_likewise_stays_without_a_word(
    predict: Callable[..., Any], tmp_path: Path
) -> None:
    predict(confidence=True, probabilities=True, vectors="gpkg,shp", preview=True)
    before = names(tmp_path / "out")
    assert predict(overwrite=True).data["warnings"] == []
    assert names(tmp_path / "out") == before


def test_files_of_other_options_are_named_and_go_with_overwrite_and_those_of_others_stay(
    predict: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = {"vectors": "shp,fgb", "project": True, "stac": True, "simplify": "1px"}
    predict(**asked)
    predict(**asked | {"merge": True, "vectors": "shp"})
    earlier = names(out)
    for name in ("0_polygons.geojson", "0.stac.json"):
        (out / name).write_text('{"type": "Feature", "stac_version": "1.0.0"}')
    (out / "1_polygons.qml").write_text("<qgis/>")  # saved by somebody in place of geoseg's
    (line,) = predict(vectors="gpkg").data["warnings"]
    assert line.startswith(f"9 files of earlier runs: {out / '0_polygons.shp'}, ")
    assert line.endswith("; made with other options or inputs, kept unless --overwrite is given")
    assert names(out) >= earlier
    report = predict(vectors="gpkg", overwrite=True)
    assert report.data["warnings"] == []
    theirs = {"0_polygons.geojson", "0.stac.json", "1_polygons.qml"}
    made = {f"{n}_{kind}" for n in (0, 1) for kind in ("polygons.gpkg", "classes.tif")}
    made |= {f"{n}_classes.{end}" for n in (0, 1) for end in ("tif.aux.xml", "qml")}
    assert names(out) == made | theirs | {"areas.csv", "report.json"}


def test_a_style_that_formats_share_stays_with_the_one_that_is_asked_for(
    predict: Callable[..., Any], tmp_path: Path
) -> None:
    predict(vectors="fgb", min_area="3px")
    predict(vectors="shp", overwrite=True)
    found = {path.suffix for path in (tmp_path / "out").glob("0_polygons.*")}
    assert {".shp", ".qml", ".sld"} <= found
    assert ".fgb" not in found


def test_a_smaller_run_takes_the_virtual_rasters_of_a_larger_ones_project_away(
    predict: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (out).mkdir()
    (out / "out_all_mine.vrt").write_text("<VRTDataset/>")
    with monkeypatch.context() as patched:
        patched.setattr(sheet_layers, "MOST_SHEETS", 1)
        predict(project=True)
    assert {"out_all_classes.vrt", "out_all_imagery.vrt", "out_all_classes.qml"} <= names(out)
    predict(project=True)
    assert {name for name in names(out) if "_all_" in name} == {"out_all_mine.vrt"}
