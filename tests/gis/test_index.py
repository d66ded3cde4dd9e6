"""Real QGIS shows squares with an index as it shows the one file; see `tests/gis/test_qgis.py`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import rasterio

import geoseg
from geoseg.scenes import write_folder
from tests.gis.python import needs_qgis, run_script

pytestmark = needs_qgis

MODEL = files("geoseg") / "data/demo.safetensors"
OPTIONS = {"vectors": "none", "confidence": True, "probabilities": True, "preview": False}
KINDS = ("classes", "confidence", "probabilities")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (made,) = write_folder(tmp_path_factory.mktemp("index"), scenes=1, size=1100, seed=3)
    return made.image


def predict(scene: Path, out: str, most: int) -> Any:
    return geoseg.predict(
        scene, MODEL, out=scene.parents[1] / out, max_output_pixels=most, **OPTIONS
    )


def styles_of(pictures: Path, paths: list[Path]) -> dict[str, Any]:
    """Of each file, how QGIS shows it; what it draws goes into the folder `pictures`."""
    pictures.mkdir()
    printed = run_script("styles.py", str(pictures), *map(str, paths))
    return json.loads(printed.partition("styles: ")[2])


def test_an_index_opens_and_is_drawn_as_the_one_file_and_is_kept_afterwards(scene: Path) -> None:
    """Both are drawn from the levels above the squares, which halve squares across their sides."""
    assert predict(scene, "one", 2**30).exit_code == 0
    assert predict(scene, "many", 512**2).exit_code == 0
    one, many = (scene.parents[1] / name for name in ("one", "many"))
    names = [f"{scene.stem}_{kind}" for kind in KINDS]
    assert len(list((many / names[0]).glob("*_r*_c*.tif"))) == 9
    pictures = scene.parents[1] / "pictures"
    pictures.mkdir()
    expected = styles_of(pictures / "one", [one / f"{name}.tif" for name in names])
    found = styles_of(pictures / "many", [many / f"{name}.vrt" for name in names])
    for name in names:
        assert found[f"{name}.vrt"] == expected[f"{name}.tif"]
        with rasterio.open(pictures / f"one/{name}.tif.png") as file:
            drawn = file.read()
        with rasterio.open(pictures / f"many/{name}.vrt.png") as file:
            differs = (file.read() != drawn).any(axis=0)
        assert not differs.any()
        assert drawn[:3].std() > 10, "something is drawn"
    looked = run_script("session.py", "sr", *(str(many / f"{name}.vrt") for name in names))
    assert "looked at 3" in looked
    assert [entry["status"] for entry in predict(scene, "many", 512**2).data["inputs"]] == ["kept"]
