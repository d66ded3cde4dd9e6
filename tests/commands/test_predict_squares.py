"""Rasters beyond --max-output-pixels: squares with an index that are the one file, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.errors import OutputError
from geoseg.inference import engine
from geoseg.raster import find_sources, read_class_names

pytestmark = pytest.mark.usefixtures("one_thread")

Make = Callable[..., Path]
HEIGHT, WIDTH, MOST = 540, 1050, 512**2
OPTIONS: dict[str, Any] = {
    "confidence": True,
    "probabilities": True,
    "preview": False,
    "vectors": "none",
    "window": 128,
    "overlap": 32,
}
KINDS = ("classes", "confidence", "probabilities")


@pytest.fixture
def scene(make_raster: Make) -> Path:
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    data = np.stack([127 + 120 * np.sin(rows / a + cols / b) for a, b in ((9, 7), (5, 11), (3, 4))])
    data[:, 100:180, 300:900] = 0
    return make_raster("scene.tif", data=data.astype(np.uint8), nodata=0)


def predict(scene: Path, model: Path, out: Path, most: int = MOST, **options: Any) -> Any:
    return geoseg.predict(scene, model, out=out, max_output_pixels=most, **{**OPTIONS, **options})


def levels(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    with rasterio.open(path) as file:
        count = len(file.overviews(1))
    for level in (None, *range(count)):
        options = {} if level is None else {"OVERVIEW_LEVEL": level}
        with rasterio.open(path, **options) as file:
            found.append((file.read(), file.dataset_mask()))
    return found


def check_same(one: Path, many: Path, kind: str) -> None:
    expected = levels(one / f"scene_{kind}.tif")
    found = levels(many / f"scene_{kind}.vrt")
    assert len(found) == len(expected) == 3
    for (pixels, mask), (own, own_mask) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(own, pixels)
        np.testing.assert_array_equal(own_mask, mask)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "report.json" and path.suffix != ".gpkg"
    }


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_squares_are_the_one_file_level_by_level(
    scene: Path, model_file: Path, tmp_path: Path, workers: int
) -> None:
    one = predict(scene, model_file, tmp_path / "one", 2**30)
    many = predict(scene, model_file, tmp_path / "many", workers=workers, preview=True)
    for kind in KINDS:
        check_same(tmp_path / "one", tmp_path / "many", kind)
        files = list((tmp_path / f"many/scene_{kind}").glob("*_r*_c*.tif"))
        assert len(files) == 6
        assert not (tmp_path / f"many/scene_{kind}.tif").exists()
    assert read_class_names(tmp_path / "many/scene_classes.vrt") == (
        "road",
        "roof",
        "grass",
        "tree",
    )
    for count in ("pixels", "nodata_pixels", "uncertain_pixels"):
        assert many.data["inputs"][0][count] == one.data["inputs"][0][count]
    assert many.data["inputs"][0]["outputs"]["classes"].endswith("scene_classes.vrt")
    assert (tmp_path / "many/scene_preview.png").exists()
    assert not list((tmp_path / "many/.geoseg").rglob("*.tif"))
    found = find_sources([tmp_path / "many", scene])
    assert [each.path for each in found.sources] == [scene]


def test_a_second_run_keeps_all_and_counts_the_same(
    scene: Path, model_file: Path, tmp_path: Path
) -> None:
    first = predict(scene, model_file, tmp_path / "out")
    before = contents(tmp_path / "out")
    second = predict(scene, model_file, tmp_path / "out")
    assert second.data["inputs"][0]["status"] == "kept"
    assert second.data["inputs"][0]["pixels"] == first.data["inputs"][0]["pixels"]
    assert contents(tmp_path / "out") == before


def test_an_interrupted_run_keeps_the_squares_that_are_finished(
    scene: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, made = tmp_path / "out", []
    write = engine.write_raster

    def writing(output: Any, folder: Any, blocks: Any, classes: Any, area: Any) -> Any:
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(output.file(area))
        return write(output, folder, blocks, classes, area)

    monkeypatch.setattr(engine, "write_raster", writing)
    with pytest.raises(KeyboardInterrupt):
        predict(scene, model_file, out)
    finished = [(path, path.stat().st_mtime_ns) for path in made]
    assert len(finished) == 4
    monkeypatch.undo()
    report = predict(scene, model_file, out)
    assert report.exit_code == 0
    assert report.data["forwards"] == 0
    assert [(path, path.stat().st_mtime_ns) for path in made] == finished
    predict(scene, model_file, tmp_path / "again", 2**30)
    for kind in KINDS:
        check_same(tmp_path / "again", out, kind)


@pytest.mark.parametrize(("first", "second"), [(MOST, 2**30), (2**30, MOST)])
def test_one_kind_of_raster_replaces_the_other_only_when_asked(
    scene: Path, model_file: Path, tmp_path: Path, first: int, second: int
) -> None:
    out = tmp_path / "out"
    predict(scene, model_file, out, first)
    before = contents(out)
    report = predict(scene, model_file, out, second)
    assert report.exit_code == 1
    assert "use --overwrite to replace it" in report.data["failures"][0]
    assert contents(out) == before
    assert predict(scene, model_file, out, second, overwrite=True).exit_code == 0
    predict(scene, model_file, tmp_path / "new", second)
    assert set(contents(out)) == set(contents(tmp_path / "new"))


def test_a_lost_square_is_made_again(scene: Path, model_file: Path, tmp_path: Path) -> None:
    predict(scene, model_file, tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out/scene_classes/scene_classes_r001_c002.tif").unlink()
    assert predict(scene, model_file, tmp_path / "out").exit_code == 0
    assert contents(tmp_path / "out") == before


def test_vectorize_and_evaluate_take_the_index(
    scene: Path, model_file: Path, tmp_path: Path, make_raster: Make
) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    predict(scene, model_file, one, 2**30, confidence=False, probabilities=False)
    predict(scene, model_file, many, confidence=False, probabilities=False)
    tables = []
    for folder, name in ((one, "scene_classes.tif"), (many, "scene_classes.vrt")):
        geoseg.vectorize([folder / name], out=folder / "all.gpkg")
        tables.append(geopandas.read_file(folder / "all.gpkg"))
    assert tables[0].equals(tables[1])
    with rasterio.open(one / "scene_classes.tif") as file:
        labels = file.read()
    labels[labels > 3] = 255
    labels[:, :50] = 1
    make_raster("labels/scene_labels.tif", data=labels, nodata=255)
    scores = []
    for folder in (one, many):
        report = geoseg.evaluate(
            folder, tmp_path / "labels", classes=model_file, out=folder / "scores"
        )
        scores.append(report.data["confusion_matrix"])
    assert scores[0] == scores[1]


@pytest.mark.parametrize("most", [0, 512**2 - 1])
def test_squares_smaller_than_a_tile_are_refused(
    scene: Path, model_file: Path, tmp_path: Path, most: int
) -> None:
    with pytest.raises(
        ValueError, match=r"max_output_pixels .*: give 262144 \(512 x 512\) or more"
    ):
        predict(scene, model_file, tmp_path / "out", most)


def test_a_full_disk_names_the_square(
    scene: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(output: Any, folder: Any, blocks: Any, classes: Any, area: Any) -> Any:
        raise OutputError(f"{output.file(area)}: cannot be written")

    monkeypatch.setattr(engine, "write_raster", full)
    report = predict(scene, model_file, tmp_path / "out")
    assert "_r000_c000.tif: cannot be written" in report.data["failures"][0]
