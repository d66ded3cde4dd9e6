"""Real QGIS shows where a prediction is wrong; see `tests/gis/test_qgis.py`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import rasterio

import geoseg
from geoseg.scenes import write_folder
from tests.gis.python import needs_qgis, run_script

pytestmark = [needs_qgis, pytest.mark.slow]

MODEL = files("geoseg") / "data/demo.safetensors"


def test_error_rasters_and_regions_open_with_the_kinds_of_errors_by_name(tmp_path: Path) -> None:
    (scene,) = write_folder(tmp_path, scenes=1, size=256, seed=3)
    out = tmp_path / "out"
    geoseg.predict(scene.image, MODEL, out=out, confidence=True)
    scores = tmp_path / "scores"
    report = geoseg.evaluate(out, tmp_path / "labels", classes=MODEL, out=scores, errors=True)
    kinds = [kind["kind"] for kind in report.data["errors"]["kinds"]]
    raster = f"{scene.image.stem}_errors.tif"
    paths = [str(scores / name) for name in (raster, "errors.gpkg")]
    printed = run_script("styles.py", str(tmp_path), *paths)
    found = json.loads(printed.partition("styles: ")[2])
    shown = found[raster]
    assert [entry[1] for entry in shown["classes"]] == [*kinds, "right", "not scored"]
    assert [entry[3] for entry in shown["classes"]] == [*(255 for _ in kinds), 90, 0]
    regions = found["errors.gpkg"]
    assert (regions["kind"], regions["attribute"]) == ("categorizedSymbol", "class")
    assert {entry[1] for entry in regions["classes"]} <= set(kinds)
    assert regions["features"] == report.data["errors"]["regions_listed"]
    colors = {entry[1]: entry[2] for entry in shown["classes"]}
    assert all(colors[entry[1]] == entry[2] for entry in regions["classes"])
    with rasterio.open(tmp_path / f"{raster}.png") as drawn:
        seen = {
            "#{:02x}{:02x}{:02x}".format(*color) for color in drawn.read((1, 2, 3)).reshape(3, -1).T
        }
    assert {colors[kind] for kind in kinds[:3]} <= seen
