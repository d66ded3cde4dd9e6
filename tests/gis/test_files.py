"""Files pass the checks of the tools that people use; see `tests/gis/test_qgis.py`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from rio_cogeo import cog_validate

import geoseg
from geoseg.scenes import write_folder
from tests.gis.python import ENVIRONMENT, needs_qgis, run_script

pytestmark = [needs_qgis, pytest.mark.slow]

MODEL = files("geoseg") / "data/demo.safetensors"
CLEANED = {"min_area": "20px", "simplify": "1px", "smooth": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kinds of rasters and polygons of two scenes."""
    folder = tmp_path_factory.mktemp("files")
    write_folder(folder, scenes=2, size=600, seed=3)
    images, out = folder / "images", folder / "out"
    rasters = {"confidence": True, "probabilities": True, "preview": False}
    assert geoseg.predict(images, MODEL, out=out / "plain", **rasters).exit_code == 0
    merged = {"merge": True, "preview": False, **CLEANED, "regularize": "building"}
    assert geoseg.predict(images, MODEL, out=out / "merged", **merged).exit_code == 0
    squares = {"mosaic": "one", "max_output_pixels": 2**18, "vectors": "none", "preview": False}
    assert geoseg.predict(images, MODEL, out=out / "squares", **squares).exit_code == 0
    classes = sorted((out / "plain").glob("*_classes.tif"))
    geoseg.vectorize(classes, out / "vectorized.gpkg", attributes="perimeter_m,color", **CLEANED)
    scored = (out / "plain", folder / "labels")
    geoseg.evaluate(*scored, classes=MODEL, out=out / "scores", errors=True)
    return out


def test_each_raster_is_a_strict_cloud_optimized_geotiff(made: Path) -> None:
    rasters = sorted(made.rglob("*.tif"))
    assert {path.stem.rpartition("_")[2] for path in rasters} >= {
        *("classes", "confidence", "probabilities", "errors", "c000")
    }
    for path in rasters:
        valid, errors, warnings = cog_validate(path, strict=True)
        assert (valid, errors, warnings) == (True, [], []), path


def test_ogrinfo_reads_each_geopackage_with_its_style(made: Path) -> None:
    program = shutil.which("ogrinfo")
    if program is None:
        pytest.skip("needs ogrinfo (Debian: apt-get install gdal-bin)")
    packages = sorted(made.rglob("*.gpkg"))
    assert len(packages) == 5
    for path in packages:
        run = [program, "-al", "-so", str(path)]
        info = subprocess.run(run, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        assert "ERROR" not in info.stdout + info.stderr
        assert "partially supported" not in info.stderr, "older programs warn of newer versions"
        *layers, last = re.findall(r"^Layer name: (.*)$", info.stdout, re.MULTILINE)
        assert layers
        assert last == "layer_styles"
        assert info.stdout.count("Geometry: Polygon\n") == len(layers)
        assert info.stdout.count('ID["EPSG",32632]]\n') == len(layers)
        counts = re.findall(r"^Feature Count: (\d+)$", info.stdout, re.MULTILINE)
        assert int(counts[-1]) == len(layers)
        assert all(int(count) > 0 for count in counts)


def test_qgis_finds_no_fault_in_any_geometry(made: Path) -> None:
    paths = [str(path) for path in sorted(made.rglob("*.gpkg"))]
    printed = run_script("validity.py", *paths)
    for path, found in json.loads(printed.partition("validity: ")[2]).items():
        assert found["features"] > 0, path
        assert (found["type"], found["faults"]) == ("Polygon", []), path
