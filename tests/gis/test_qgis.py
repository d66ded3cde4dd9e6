"""Real QGIS opens what geoseg reads and writes, and what it leaves there changes nothing.

Run by ``make test-gis``; skipped where QGIS, or its Python, is not found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely

import geoseg
from geoseg.scenes import write_folder
from tests.gis.python import needs_qgis, run_script

Make = Callable[..., Path]
pytestmark = needs_qgis


def look_at(folder: Path, steps: str, *, suffixes: str = ".tif .vrt .png .gpkg .shp") -> None:
    """See `tests/gis/session.py` for the steps."""
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.suffix in suffixes.split()]
    assert f"looked at {len(paths)}" in run_script("session.py", steps, *paths)


def patchy(make_raster: Make, name: str, seed: int = 0) -> Path:
    """Areas, large enough for overviews."""
    coarse = np.random.default_rng(seed).integers(1, 255, (3, 24, 24))
    return make_raster(name, data=np.kron(coarse, np.ones((1, 25, 25))).astype(np.uint8))


def pixels(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".tif", ".png")
    }


@pytest.mark.parametrize("steps", ["sprw", "serw", "sprwx"])
def test_predict_is_up_to_date_after_a_look_at_inputs_and_outputs(
    tmp_path: Path, steps: str
) -> None:
    (scene,) = write_folder(tmp_path, scenes=1, size=512, seed=1)
    vrt = scene.image.with_name("above.vrt")
    rasterio.shutil.copy(str(scene.image), str(vrt), driver="VRT")
    model = files("geoseg") / "data/demo.safetensors"
    options = {"vectors": ["gpkg", "shp"], "confidence": True, "probabilities": True}
    predict = partial(geoseg.predict, scene.image.parent, model, out=tmp_path / "out", **options)
    assert predict().exit_code == 0
    made, times = pixels(tmp_path), (tmp_path / "out/above_polygons.gpkg").stat()
    look_at(tmp_path, steps)
    overviews = "*.aux" if "e" in steps else "*.ovr"
    for pattern in (overviews, "*.qml", "*.sld", "*.qix"):
        assert list((tmp_path / "out").glob(pattern)), pattern
    # GDAL writes statistics when a file is closed, which a crash does not wait for.
    assert "x" in steps or "STATISTICS" in vrt.read_text()
    assert (tmp_path / "out/above_polygons.gpkg").stat().st_mtime_ns != times.st_mtime_ns
    again = predict()
    assert [entry["status"] for entry in again.data["inputs"]] == ["kept", "kept"]
    assert (again.exit_code, again.data["forwards"], again.data["failures"]) == (0, 0, [])
    assert pixels(tmp_path) == made


def test_vectorize_is_up_to_date_after_a_look_at_raster_and_polygons(
    make_raster: Make, tmp_path: Path
) -> None:
    labels = np.kron(np.arange(16).reshape(1, 4, 4) % 3, np.ones((1, 150, 150))).astype(np.uint8)
    classes = make_raster("town.tif", data=labels, nodata=255)
    for name in ("town.gpkg", "town.shp"):
        out = tmp_path / name
        assert geoseg.vectorize(classes, out).data["kept"] is False
        look_at(tmp_path, "sprw")
        assert geoseg.vectorize(classes, out).data["kept"] is True
        out.unlink()


@pytest.mark.parametrize("end", ["", "x"])
def test_prepare_is_up_to_date_after_a_look_and_not_after_an_edit_of_its_labels(
    make_raster: Make, tmp_path: Path, end: str
) -> None:
    boxes = [shapely.box(500_000 + west, 5_399_950, 500_020 + west, 5_399_990) for west in (2, 40)]
    source = tmp_path / "src"
    for number in range(2):
        patchy(make_raster, f"src/images/t{number}.tif", number)
        (source / "drawn").mkdir(exist_ok=True)
        drawn = geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32632")
        drawn.to_file(source / f"drawn/t{number}.gpkg")
    options = {"labels": "drawn", "classes": ["background", "building"], "split": "all"}
    prepare = ("folder", source, tmp_path / "out")
    geoseg.prepare(*prepare, **options)
    look_at(tmp_path, f"sprw{end}")
    assert geoseg.prepare(*prepare, **options).data["kept"] == 2
    look_at(source / "drawn", f"c{end}")
    with pytest.raises(geoseg.GeosegError, match="tile t0 exists there and was made from other"):
        geoseg.prepare(*prepare, **options)
    assert geoseg.prepare(*prepare, **options, overwrite=True).data["made"] == 2
    with rasterio.open(tmp_path / "out/train/labels/t0.tif") as file:
        assert (file.read(1)[:, :70] == 0).all(), "the first house is gone"
