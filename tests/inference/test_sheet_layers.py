from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import geoseg
from geoseg.inference import sheet_layers

Make = Callable[..., Path]


def project_of(out: Path) -> ET.Element:
    with zipfile.ZipFile(out / "out.qgz") as file:
        return ET.fromstring(file.read("out.qgs"))


def test_a_run_writes_a_project_of_what_it_has_made_or_kept(
    make_raster: Make, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b", "north/a"):
        make_raster(f"in/{name}.tif", dtype="uint8")
    out, run = tmp_path / "out", {"preview": False, "vectors": "shp", "confidence": True}
    first = geoseg.predict(tmp_path / "in", model_file, out, project=True, **run)
    assert first.exit_code == 0
    root = project_of(out)
    assert [each.text for each in root.iter("datasource")] == [
        "./b_polygons.shp",
        "./north/a_polygons.shp",
        "./b_classes.tif",
        "./north/a_classes.tif",
        "./b_confidence.tif",
        "./north/a_confidence.tif",
        "../in/b.tif",
        "../in/north/a.tif",
    ]
    before = (out / "out.qgz").read_bytes()
    assert geoseg.predict(tmp_path / "in", model_file, out, project=True, **run).exit_code == 0
    assert (out / "out.qgz").read_bytes() == before
    (out / "out.qgz").write_bytes(b"mine")
    with pytest.raises(geoseg.GeosegError, match="saved by another program"):
        geoseg.predict(tmp_path / "in", model_file, out, project=True, **run)
    (out / "out.qgz").unlink()
    monkeypatch.setattr(sheet_layers, "MOST_SHEETS", 1)
    geoseg.predict(tmp_path / "in", model_file, out, project=True, **run)
    assert not (out / "out.qgz").exists()


def test_a_project_in_a_bucket_is_refused(make_raster: Make, model_file: Path) -> None:
    from geoseg.places import any_path

    with pytest.raises(geoseg.GeosegError, match=r"project: s3://b/out is a bucket; give a folder"):
        sheet_layers.refuse_project(any_path("s3://b/out"), overwrite=False)
