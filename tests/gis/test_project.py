"""Real QGIS opens the project of a run as a map; see `tests/gis/test_qgis.py`."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.progress import Progress
from geoseg.scenes import write_folder
from tests.gis.python import needs_qgis, run_script

pytestmark = needs_qgis

MODEL = files("geoseg") / "data/demo.safetensors"


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def opened(project: Path, picture: Path, width: int, height: int) -> dict[str, Any]:
    printed = run_script("project.py", str(project), str(picture), str(width), str(height))
    found: dict[str, Any] = json.loads(printed.partition("project: ")[2])
    return found


def picture_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read((1, 2, 3)).astype(float)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Imagery and results, which are moved before they are looked at."""
    write_folder(tmp_path / "made/images", scenes=2, size=256, seed=5)
    images = tmp_path / "made/images/images"
    report = geoseg.predict(
        images, MODEL, out=tmp_path / "made/out", project=True, confidence=True, vectors="gpkg,fgb"
    )
    assert report.exit_code == 0
    shutil.move(tmp_path / "made", tmp_path / "moved")
    return tmp_path / "moved"


def test_a_project_shows_classes_over_the_imagery_with_nothing_set_by_hand(folder: Path) -> None:
    found = opened(folder / "out/out.qgz", folder / "map.png", 256, 256)
    assert (found["read"], found["crs"]) == (True, "EPSG:32632")
    groups: dict[str, list[Any]] = {}
    for layer in found["layers"]:
        groups.setdefault(layer["group"], []).append(layer)
        assert layer["valid"]
        assert layer["crs"] == "EPSG:32632"
    assert list(groups) == ["polygons", "classes", "confidence", "imagery"]
    assert {name: {layer["shown"] for layer in group} for name, group in groups.items()} == {
        "polygons": {False},
        "classes": {True},
        "confidence": {False},
        "imagery": {True},
    }
    assert [layer["opacity"] for layer in groups["classes"]] == pytest.approx([0.6, 0.6])
    assert {layer["kind"] for layer in groups["polygons"]} == {"categorizedSymbol"}
    assert len({layer["name"] for layer in groups["classes"]}) == 2


def test_the_map_is_imagery_under_the_colours_of_the_preview(tmp_path: Path) -> None:
    (scene,) = write_folder(tmp_path, scenes=1, size=256, seed=5)
    geoseg.predict(scene.image, MODEL, out=tmp_path / "out", project=True)
    found = opened(tmp_path / "out/out.qgz", tmp_path / "map.png", 256, 256)
    assert [layer["name"] for layer in found["layers"]] == ["polygons", "classes", "imagery"]
    with rasterio.open(scene.image) as file:
        assert found["extent"] == pytest.approx(list(file.bounds))
    image = picture_of(scene.image)
    with rasterio.open(tmp_path / f"out/{scene.image.stem}_classes.tif") as file:
        labels, palette = file.read(1), file.colormap(1)
    colors = np.moveaxis(np.array([palette[value][:3] for value in range(256)])[labels], -1, 0)
    expected = np.where(
        labels == 255, 255.0 * (image.sum(0) == 0) + image, 0.6 * colors + 0.4 * image
    )
    drawn = picture_of(tmp_path / "map.png")
    inside = labels != 255
    assert np.abs(drawn - expected)[:, inside].mean() < 2
    # In the preview, classes are the right one of two panels of the same size.
    preview = picture_of(tmp_path / f"out/{scene.image.stem}_preview.png")
    left = preview.shape[2] // 2
    panel = preview[:, 24 : 24 + 256, -266:-10]
    assert left < preview.shape[2] - 256
    assert (np.abs(panel - colors).max(0) < 3)[inside].mean() > 0.99


@pytest.mark.slow
def test_many_sheets_are_drawn_from_virtual_rasters_as_from_layers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(folder / "out/out.qgz", folder / "layers.png", 300, 150)
    monkeypatch.setattr("geoseg.inference.sheet_layers.MOST_SHEETS", 1)
    notes = Notes()
    options = {"project": True, "confidence": True, "vectors": "gpkg,fgb", "progress": notes}
    geoseg.predict(folder / "images/images", MODEL, out=folder / "out", **options)
    assert any("--merge makes one layer" in line for line in notes.lines)
    found = opened(folder / "out/out.qgz", folder / "virtual.png", 300, 150)
    assert [(layer["name"], layer["valid"], layer["crs"]) for layer in found["layers"]] == [
        (name, True, "EPSG:32632") for name in ("classes", "confidence", "imagery")
    ]
    drawn, expected = picture_of(folder / "virtual.png"), picture_of(folder / "layers.png")
    assert (np.abs(drawn - expected).max(0) <= 3).mean() > 0.97
    assert expected.std() > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"merge": True}, {"polygons": 1, "classes": 2, "imagery": 2}),
        ({"mosaic": "sheets"}, {"polygons": 1, "classes": 2, "imagery": 2}),
        ({"mosaic": "one"}, {"polygons": 1, "classes": 1, "imagery": 2}),
        (
            {"mosaic": "one", "max_output_pixels": 2**18},
            {"polygons": 1, "classes": 1, "imagery": 2},
        ),
    ],
)
def test_maps_of_mosaics_squares_and_merged_polygons_open_and_draw(
    tmp_path: Path, options: dict[str, Any], counts: dict[str, int]
) -> None:
    write_folder(tmp_path, scenes=2, size=520, seed=5)
    out = tmp_path / "out"
    report = geoseg.predict(
        tmp_path / "images", MODEL, out=out, project=True, preview=False, **options
    )
    assert report.exit_code == 0
    found = opened(out / "out.qgz", tmp_path / "map.png", 400, 200)
    groups: dict[str, int] = {}
    for layer in found["layers"]:
        kind = layer["group"] or layer["name"]
        groups[kind] = groups.get(kind, 0) + 1
        assert layer["valid"], layer
        assert layer["crs"] == "EPSG:32632"
    assert groups == counts
    drawn = picture_of(tmp_path / "map.png")
    for half in (drawn[:, :, :200], drawn[:, :, 200:]):  # a sheet each
        assert half.std() > 10
