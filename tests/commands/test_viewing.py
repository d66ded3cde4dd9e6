"""Looking at inputs and outputs in a viewer between two runs changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely

import geoseg
from geoseg.errors import SourceError
from geoseg.progress import Progress
from geoseg.training.patches import Patches
from tests.fixtures.viewer import look_at

Make = Callable[..., Path]
OUTPUTS = (".tif", ".png", ".gpkg", ".shp")


def looked_at(folder: Path, *, erdas: bool = False) -> list[Path]:
    """The outputs and inputs in a folder, after a look at each."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in OUTPUTS]
    for path in paths:
        look_at(path, erdas=erdas)
    return paths


@pytest.mark.parametrize("erdas", [False, True])
def test_predict_keeps_what_was_looked_at(
    make_raster: Make, model_file: Path, tmp_path: Path, erdas: bool
) -> None:
    make_raster("in/a.tif", height=128, width=128)
    below = make_raster("below.tif", height=128, width=128, seed=1)
    rasterio.shutil.copy(str(below), str(tmp_path / "in/b.vrt"), driver="VRT")
    options = {
        "out": tmp_path / "out",
        "vectors": ["gpkg", "shp"],
        "confidence": True,
        "probabilities": True,
    }
    made = geoseg.predict(tmp_path / "in", model_file, **options)
    assert made.exit_code == 0
    pixels = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tif")}
    assert len(looked_at(tmp_path, erdas=erdas)) == 2 + 2 * 6
    look_at(tmp_path / "in/b.vrt")
    again = geoseg.predict(tmp_path / "in", model_file, **options)
    assert [entry["status"] for entry in again.data["inputs"]] == ["kept", "kept"]
    assert (again.exit_code, again.data["forwards"]) == (0, 0)
    assert pixels == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tif")}
    assert (tmp_path / "out/a_polygons.qml").exists(), "the user's own"


@pytest.mark.parametrize("erdas", [False, True])
def test_predict_removes_what_describes_an_older_output_and_keeps_styles(
    make_raster: Make, model_file: Path, tmp_path: Path, erdas: bool
) -> None:
    scene, out = make_raster("a.tif", height=128, width=128), tmp_path / "out"
    geoseg.predict(scene, model_file, out=out, vectors="gpkg,shp")
    looked_at(out, erdas=erdas)
    geoseg.predict(scene, model_file, out=out, vectors="gpkg,shp", overlap=4, overwrite=True)
    geoseg.predict(scene, model_file, out=tmp_path / "new", vectors="gpkg,shp", overlap=4)
    new = {path.name for path in (tmp_path / "new").iterdir()}
    left = {path.name for path in out.iterdir()} - new
    assert {Path(name).suffix for name in left} == {".qml", ".sld", ".qmd"}


class StopAfter(Progress):
    """Interrupts a run as Ctrl-C does, after some windows."""

    def __init__(self, windows: int) -> None:
        self._left = windows

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left <= 0:
            raise KeyboardInterrupt


def test_an_unfinished_predict_continues_after_a_look_at_its_source(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    source = make_raster("a.tif", height=128, width=128)
    options = {"vectors": "none", "block": 64, "encode": "window"}
    whole = geoseg.predict(source, model_file, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(source, model_file, out=tmp_path / "out", progress=StopAfter(20), **options)
    look_at(source)
    assert (tmp_path / "a.tif.aux.xml").exists()
    resumed = geoseg.predict(source, model_file, out=tmp_path / "out", **options)
    assert (resumed.exit_code, resumed.data["failures"]) == (0, [])
    assert 0 < resumed.data["forwards"] < whole.data["forwards"]
    made = [(tmp_path / out / "a_classes.tif").read_bytes() for out in ("out", "whole")]
    assert made[0] == made[1]


@pytest.mark.usefixtures("nothing_drawn")
def test_an_unfinished_training_continues_after_a_look_at_its_images(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Patches.__getitem__

    def broken(self: Patches, index: int) -> Any:
        if index >= 8:  # the fifth step of batches of two
            raise OSError("a network drive is away")
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Patches, "__getitem__", broken)
        with pytest.raises(SourceError, match="--resume continues"):
            geoseg.train(config, out=tmp_path / "out")
    for path in [*(tmp_path / "images").iterdir(), *(tmp_path / "labels").iterdir()]:
        look_at(path)
    assert len(list(tmp_path.glob("*/*.aux.xml"))) == 6
    geoseg.train(config, out=tmp_path / "out", resume=True)
    geoseg.train(config, out=tmp_path / "whole")
    nets = [geoseg.load_model(tmp_path / out / "model.safetensors").net for out in ("out", "whole")]
    for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())


def test_vectorize_keeps_what_was_looked_at(make_raster: Make, tmp_path: Path) -> None:
    labels = np.kron(np.arange(16).reshape(1, 4, 4) % 3, np.ones((1, 32, 32))).astype(np.uint8)
    classes = make_raster("town.tif", data=labels, nodata=255)
    for name in ("town.gpkg", "town.shp"):
        out = tmp_path / "out" / name
        assert geoseg.vectorize(classes, out).data["kept"] is False
        looked_at(tmp_path)
        assert geoseg.vectorize(classes, out).data["kept"] is True
        shutil.rmtree(tmp_path / "out")


def test_prepare_keeps_what_was_looked_at(make_raster: Make, tmp_path: Path) -> None:
    for number in range(2):
        make_raster(f"src/images/t{number}.tif", height=128, width=128, seed=number)
        box = shapely.box(500_002, 5_399_980, 500_020, 5_399_995)
        (tmp_path / "src/drawn").mkdir(exist_ok=True)
        geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32632").to_file(
            tmp_path / f"src/drawn/t{number}.gpkg"
        )
    options = {"labels": "drawn", "classes": ["background", "building"], "split": "all"}
    prepare = ("folder", tmp_path / "src", tmp_path / "out")
    assert geoseg.prepare(*prepare, **options).data["made"] == 2
    assert len(looked_at(tmp_path)) == 2 + 2 + 4
    again = geoseg.prepare(*prepare, **options)
    assert (again.data["made"], again.data["kept"], again.exit_code) == (0, 2, 0)
