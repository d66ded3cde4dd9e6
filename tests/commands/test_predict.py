"""The main job: what a run leaves, and a second one, an interrupted one, one with bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas
import numpy as np
import psutil
import pyogrio
import pytest
import rasterio
import shapely
import torch
from rasterio.features import rasterize

import geoseg
from geoseg.errors import ConfigError, ModelError, OutputError, SourceError
from geoseg.progress import Progress
from tests.odd_rasters import only_a_coordinate_system

pytestmark = pytest.mark.usefixtures("one_thread")


class Notes(Progress):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def smooth(make_raster, name="scene.tif", height=150, width=170, **options):
    """Imagery in areas, as ground has them, so that classes come in regions."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(1, 255, (3, height // 10 + 1, width // 10 + 1))
    data = np.kron(coarse, np.ones((10, 10), int))[:, :height, :width] + rng.integers(
        -9, 9, (3, height, width)
    )
    return make_raster(name, data=np.clip(data, 1, 255).astype(np.uint8), **options)


def test_all_outputs_exist_and_say_what_they_are(make_raster, model_file, tmp_path):
    scene, out = smooth(make_raster, nodata=0), tmp_path / "out"
    report = geoseg.predict(
        scene, model_file, out=out, confidence=True, probabilities=True, vectors="gpkg,shp"
    )
    assert report.exit_code == 0
    with rasterio.open(out / "scene_classes.tif") as file, rasterio.open(scene) as source:
        assert (file.crs, file.transform, file.shape) == (
            source.crs,
            source.transform,
            source.shape,
        )
        assert file.nodata == 255
        assert file.colormap(1)[255][3] == 0
        labels = file.read(1)
    assert labels.max() < 4
    probabilities = read(out / "scene_probabilities.tif")
    np.testing.assert_array_equal(
        probabilities.argmax(0)[probabilities.max(0) > 130], labels[probabilities.max(0) > 130]
    )
    np.testing.assert_array_equal(read(out / "scene_confidence.tif")[0], probabilities.max(0))
    polygons = geopandas.read_file(out / "scene_polygons.gpkg")
    assert set(polygons.columns) == {"class_id", "class", "area_m2", "confidence", "geometry"}
    assert polygons.area_m2.sum() == pytest.approx(150 * 170 * 0.25)
    assert len(geopandas.read_file(out / "scene_polygons.shp")) == len(polygons)
    assert (out / "scene_preview.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((out / "report.json").read_text())
    assert written["inputs"][0]["status"] == "done"
    assert written["seconds"]["forward"] <= written["seconds"]["total"]
    assert sum(written["inputs"][0]["pixels"].values()) == 150 * 170
    assert not (out / ".geoseg").exists()


def test_rasterizing_the_polygons_restores_the_classes(make_raster, hcnet_file, tmp_path):
    scene = smooth(make_raster)
    geoseg.predict(scene, hcnet_file, out=tmp_path / "out", block=64)
    with rasterio.open(tmp_path / "out/scene_classes.tif") as file:
        labels = file.read(1)
        polygons = geopandas.read_file(tmp_path / "out/scene_polygons.gpkg")
        shapes = zip(polygons.geometry, polygons.class_id, strict=True)
        back = rasterize(
            shapes, out_shape=file.shape, transform=file.transform, fill=255, dtype="uint8"
        )
    assert polygons.is_valid.all()
    assert np.unique(labels).size > 2
    np.testing.assert_array_equal(back, labels)


@pytest.mark.parametrize(
    ("stitch", "options"),
    [
        ("blend", {"block": 64, "batch": 3}),
        ("crop", {"block": 100}),
        *(
            pytest.param(stitch, options, marks=pytest.mark.slow)
            for stitch, options in [
                ("blend", {"block": 64}),
                ("blend", {"block": 100}),
                ("blend", {"batch": 4}),
                ("crop", {"block": 64}),
                ("crop", {"batch": 4}),
                ("crop", {"block": 64, "batch": 3}),
            ]
        ),
    ],
)
def test_labels_and_confidence_do_not_depend_on_how_they_were_computed(
    make_raster, hcnet_file, tmp_path, options, stitch
):
    scene = smooth(make_raster)
    run = {"vectors": "none", "confidence": True, "precision": "fp32", "stitch": stitch}
    geoseg.predict(scene, hcnet_file, out=tmp_path / "whole", **run)
    geoseg.predict(scene, hcnet_file, out=tmp_path / "cut", **run, **options)
    for name in ("scene_classes.tif", "scene_confidence.tif"):
        np.testing.assert_array_equal(
            read(tmp_path / "cut" / name), read(tmp_path / "whole" / name)
        )


def test_polygons_and_their_order_do_not_depend_on_blocks(make_raster, hcnet_file, tmp_path):
    scene = smooth(make_raster)
    rows = []
    for block in ("auto", 50):
        geoseg.predict(scene, hcnet_file, out=tmp_path / str(block), block=block, precision="fp32")
        table = geopandas.read_file(tmp_path / str(block) / "scene_polygons.gpkg")
        columns = table[["geometry", "class_id", "area_m2", "confidence"]].to_numpy()
        rows.append([(g.wkb, c, a, p) for g, c, a, p in columns])
    assert rows[0] == rows[1]


def test_two_worker_processes_give_the_same_bits(make_raster, hcnet_file, tmp_path):
    scene = smooth(make_raster)
    run = {"vectors": "none", "confidence": True, "precision": "fp32", "block": 64}
    geoseg.predict(scene, hcnet_file, out=tmp_path / "threads", **run)
    report = geoseg.predict(scene, hcnet_file, out=tmp_path / "workers", workers=2, **run)
    assert report.data["forwards"] > 0
    for name in ("scene_classes.tif", "scene_confidence.tif"):
        np.testing.assert_array_equal(
            read(tmp_path / "workers" / name), read(tmp_path / "threads" / name)
        )


def test_a_second_run_keeps_what_exists_and_another_key_is_refused_without_overwrite(
    make_raster, model_file, tmp_path
):
    scene, out = smooth(make_raster), tmp_path / "out"
    geoseg.predict(scene, model_file, out=out)
    stamp = (out / "scene_classes.tif").stat().st_mtime_ns
    again = geoseg.predict(scene, model_file, out=out, block=40)
    assert again.data["inputs"][0]["status"] == "kept"
    assert again.data["forwards"] == 0
    other = geoseg.predict(scene, model_file, out=out, overlap=4)
    assert other.exit_code == 1
    assert "exists, made from another source, model or options" in other.data["failures"][0]
    assert (out / "scene_classes.tif").stat().st_mtime_ns == stamp
    replaced = geoseg.predict(scene, model_file, out=out, overlap=4, overwrite=True)
    assert replaced.data["inputs"][0]["status"] == "done"


def test_a_foreign_file_in_the_way_is_never_replaced_unasked(make_raster, model_file, tmp_path):
    scene, out = smooth(make_raster), tmp_path / "out"
    out.mkdir()
    (out / "scene_classes.tif").write_bytes(b"mine")
    report = geoseg.predict(scene, model_file, out=out)
    assert report.exit_code == 1
    assert "or not by geoseg" in report.data["failures"][0]
    assert (out / "scene_classes.tif").read_bytes() == b"mine"


class StopAfter(Notes):
    """Interrupts a run as Ctrl-C does, after some windows."""

    def __init__(self, windows):
        super().__init__()
        self.left = windows

    def advance(self, count):
        self.left -= count
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("vectors", [pytest.param("none", marks=pytest.mark.slow), "gpkg"])
def test_an_interrupted_run_is_resumed_to_the_same_bits(make_raster, hcnet_file, tmp_path, vectors):
    scene = smooth(make_raster)
    run = {"vectors": vectors, "precision": "fp32", "block": 64}
    geoseg.predict(scene, hcnet_file, out=tmp_path / "whole", **run)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, hcnet_file, out=tmp_path / "cut", progress=StopAfter(40), **run)
    assert not list((tmp_path / "cut").glob("scene*"))
    notes = Notes()
    resumed = geoseg.predict(
        scene,
        hcnet_file,
        out=tmp_path / "cut",
        progress=notes,
        **{**run, "block": "auto", "batch": 2},
    )
    assert any("scene.tif: resuming, " in line and "bands exist" in line for line in notes.lines)
    whole = json.loads((tmp_path / "whole/report.json").read_text())
    assert 0 < resumed.data["forwards"] < whole["forwards"]
    np.testing.assert_array_equal(
        read(tmp_path / "cut/scene_classes.tif"), read(tmp_path / "whole/scene_classes.tif")
    )


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-40], lambda content: content[:-40] + bytes(40)]
)
def test_a_damaged_part_is_made_anew(make_raster, model_file, tmp_path, damage):
    scene, out = smooth(make_raster), tmp_path / "out"
    run = {"vectors": "none", "precision": "fp32", "encode": "window"}
    geoseg.predict(scene, model_file, out=tmp_path / "whole", **run)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, model_file, out=out, progress=StopAfter(30), **run)
    parts = sorted((out / ".geoseg").rglob("*-classes.tif"))
    parts[0].write_bytes(damage(parts[0].read_bytes()))
    assert geoseg.predict(scene, model_file, out=out, **run).exit_code == 0
    np.testing.assert_array_equal(
        read(out / "scene_classes.tif"), read(tmp_path / "whole/scene_classes.tif")
    )


def test_parts_of_other_options_are_named_and_removed_by_overwrite(
    make_raster, model_file, tmp_path
):
    scene, out = smooth(make_raster), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, model_file, out=out, progress=StopAfter(30), overlap=4)
    notes = Notes()
    geoseg.predict(scene, model_file, out=out, progress=notes)
    assert any(
        "holds parts of a run with other options; --overwrite removes them" in line
        for line in notes.lines
    )
    geoseg.predict(scene, model_file, out=out, overwrite=True, overlap=2)
    assert not (out / ".geoseg").exists()


def test_a_folder_keeps_its_layout_and_its_own_outputs_are_skipped(
    make_raster, model_file, tmp_path
):
    smooth(make_raster, "in/north/a.tif", 40, 50)
    smooth(make_raster, "in/south/a.tif", 40, 50)
    first = geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "in", vectors="none")
    assert [entry["status"] for entry in first.data["inputs"]] == ["done", "done"]
    assert (tmp_path / "in/north/a_classes.tif").exists()
    assert (tmp_path / "in/south/a_classes.tif").exists()
    second = geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "in", vectors="none")
    assert [entry["status"] for entry in second.data["inputs"]] == ["kept", "kept"]


def test_what_a_killed_run_left_beside_its_outputs_is_swept(make_raster, model_file, tmp_path):
    make_raster("in/north/a.tif", bands=3)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"out/north/.a_classes.tif.{ended.pid}-x1.geoseg"
    left.mkdir(parents=True)
    (left / "a_classes.tif").touch()
    report = geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "out", vectors="none")
    assert report.exit_code == 0
    assert not left.exists()


def test_a_lossy_source_leaves_nothing_of_its_profile_in_the_outputs(
    make_raster, model_file, tmp_path
):
    """Outputs that copied JPEG or YCbCr from their source would be lossy, or not be written."""
    scene = smooth(
        make_raster, tiled=True, blockxsize=64, blockysize=64, compress="jpeg", photometric="ycbcr"
    )
    geoseg.predict(scene, model_file, out=tmp_path / "out", confidence=True, vectors="none")
    for name in ("classes", "confidence"):
        with rasterio.open(tmp_path / f"out/scene_{name}.tif") as file:
            assert (file.count, file.profile["compress"]) == (1, "deflate")
            assert "photometric" not in file.profile or file.profile["photometric"] != "ycbcr"
    assert read(tmp_path / "out/scene_classes.tif").max() < 4


def test_two_sources_with_one_target_are_refused_naming_both(make_raster, model_file, tmp_path):
    one, other = smooth(make_raster, "a/x.tif"), smooth(make_raster, "b/x.tif")
    with pytest.raises(ConfigError, match=r"a/x\.tif.*b/x\.tif"):
        geoseg.predict([one, other], model_file, out=tmp_path / "out")


def test_a_dry_run_prints_the_plan_and_writes_nothing(make_raster, model_file, tmp_path):
    notes = Notes()
    options = {"dry_run": True, "encode": "window"}
    report = geoseg.predict(
        smooth(make_raster), model_file, out=tmp_path / "out", progress=notes, **options
    )
    assert any("42 forwards at most" in line for line in notes.lines)
    assert report.data["plan"]["forwards"] == 42
    assert report.data["plan"]["peak_memory_bytes"] > 0
    assert not (tmp_path / "out").exists()


def test_the_plan_of_a_resumed_run_counts_what_is_left(make_raster, model_file, tmp_path):
    scene, out = smooth(make_raster), tmp_path / "out"
    run = {"vectors": "none", "precision": "fp32", "encode": "window"}
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, model_file, out=out, progress=StopAfter(30), **run)
    report = json.loads((out / "report.json").read_text())
    assert report["inputs"][0]["status"] == "interrupted"
    planned = geoseg.predict(scene, model_file, out=out, dry_run=True, **run)
    resumed = geoseg.predict(scene, model_file, out=out, **run)
    assert (
        0
        < planned.data["plan"]["forwards"]
        == resumed.data["plan"]["forwards"]
        == resumed.data["forwards"]
        < 42
    )
    notes = Notes()
    kept = geoseg.predict(scene, model_file, out=out, progress=notes, **run)
    assert notes.lines == ["plan: no window is left to run"]
    assert kept.data["inputs"][0]["pixels"] == resumed.data["inputs"][0]["pixels"]
    assert kept.data["fingerprint"] == resumed.data["fingerprint"]


def test_a_folder_that_another_run_writes_into_is_refused(make_raster, model_file, tmp_path):
    class Second(Notes):
        def begin(self, what, total):
            with pytest.raises(
                OutputError, match=r"another run writes into .*; wait until it ends or choose "
            ):
                geoseg.predict(scene, model_file, out=tmp_path / "out")
            self.lines.append("tried")

    scene, notes = smooth(make_raster), Second()
    assert geoseg.predict(scene, model_file, out=tmp_path / "out", progress=notes).exit_code == 0
    assert "tried" in notes.lines
    assert not (tmp_path / "out/.geoseg").exists()


def test_a_model_that_was_changed_after_loading_is_another_model(make_raster, model_file, tmp_path):
    scene, out = smooth(make_raster), tmp_path / "out"
    model = geoseg.load_model(model_file)
    geoseg.predict(scene, model, out=out, vectors="none")
    with torch.no_grad():
        next(model.net.parameters()).mul_(-1)
    changed = geoseg.predict(scene, model, out=out, vectors="none")
    assert "made from another source, model or options" in changed.data["failures"][0]
    geoseg.predict(scene, model, out=out, vectors="none", overwrite=True)
    geoseg.predict(scene, model, out=tmp_path / "workers", vectors="none", workers=1)
    np.testing.assert_array_equal(
        read(out / "scene_classes.tif"), read(tmp_path / "workers/scene_classes.tif")
    )


def test_a_picture_of_the_users_own_is_never_replaced_unasked(make_raster, model_file, tmp_path):
    scene, out = smooth(make_raster), tmp_path / "out"
    out.mkdir()
    (out / "scene_preview.png").write_bytes(b"mine")
    report = geoseg.predict(scene, model_file, out=out)
    assert "scene_preview.png exists" in report.data["failures"][0]
    assert (out / "scene_preview.png").read_bytes() == b"mine"
    assert geoseg.predict(scene, model_file, out=out, overwrite=True).exit_code == 0
    (out / "scene_preview.png").unlink()
    again = geoseg.predict(scene, model_file, out=out)
    assert again.data["forwards"] == 0
    assert (out / "scene_preview.png").exists()


def test_options_may_be_text_as_a_form_or_a_file_gives_them(make_raster, model_file, tmp_path):
    options = {
        "min_confidence": "0.4",
        "window": "32",
        "overlap": 8,
        "batch": "2",
        "nodata": "0",
        "dry_run": True,
    }
    assert geoseg.predict(smooth(make_raster), model_file, out=tmp_path, **options).exit_code == 0


def test_an_all_nodata_input_is_done_with_a_warning(make_raster, model_file, tmp_path):
    scene = make_raster(data=np.zeros((3, 40, 40), np.uint8), nodata=0)
    report = geoseg.predict(scene, model_file, out=tmp_path / "out")
    assert report.exit_code == 0
    assert any(
        "no valid pixel; all of the output is nodata" in line for line in report.data["warnings"]
    )
    assert (read(tmp_path / "out/scene_classes.tif") == 255).all()
    assert len(geopandas.read_file(tmp_path / "out/scene_polygons.gpkg")) == 0


def test_pixels_below_the_least_confidence_are_254_and_make_no_polygon(
    make_raster, model_file, tmp_path
):
    scene = smooth(make_raster)
    geoseg.predict(scene, model_file, out=tmp_path / "out", min_confidence=0.5, confidence=True)
    labels, confidence = (
        read(tmp_path / "out/scene_classes.tif")[0],
        read(tmp_path / "out/scene_confidence.tif")[0],
    )
    assert (labels == 254).any()
    assert confidence[labels == 254].max() <= 128
    assert confidence[labels < 254].min() >= 127
    assert geopandas.read_file(tmp_path / "out/scene_polygons.gpkg").class_id.max() < 4


def test_a_failed_input_is_named_and_the_others_continue(make_raster, model_file, tmp_path):
    smooth(make_raster, "in/good.tif", 50, 50)
    smooth(make_raster, "in/two_bands.tif", 50, 50)
    make_raster("in/two_bands.tif", bands=2)
    (tmp_path / "in/broken.tif").write_bytes(b"no image at all")
    (tmp_path / "in/empty.tif").write_bytes(b"")
    report = geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    status = {Path(entry["path"]).name: entry["status"] for entry in report.data["inputs"]}
    assert status == {
        "good.tif": "done",
        "two_bands.tif": "refused",
        "broken.tif": "refused",
        "empty.tif": "refused",
    }
    assert len(report.data["failures"]) == 3
    assert all("\n" not in line for line in report.data["failures"])
    assert {path.name for path in (tmp_path / "out").glob("*_classes.tif")} == {"good_classes.tif"}


def test_a_file_that_breaks_halfway_fails_alone_and_leaves_nothing_under_a_final_name(
    make_raster, model_file, tmp_path
):
    smooth(make_raster, "in/b_good.tif", 60, 60)
    broken = smooth(
        make_raster,
        "in/a_broken.tif",
        600,
        600,
        tiled=True,
        blockxsize=128,
        blockysize=128,
        compress="deflate",
    )
    with rasterio.open(broken) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_2_3", "TIFF", bidx=1))
    with broken.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 500)
    report = geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    status = {Path(entry["path"]).name: entry["status"] for entry in report.data["inputs"]}
    # The look at its values reads the damaged block already.
    assert status == {"a_broken.tif": "refused", "b_good.tif": "done"}
    assert "a_broken.tif" in report.data["failures"][0]
    assert not list((tmp_path / "out").glob("a_broken*"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ({"bands": 2}, r"scene\.tif: 2 bands .*it lacks bands"),
        ({"dtype": "uint16"}, r"scene\.tif.*uint16.*--value-range"),
        ({"dtype": "int16"}, r"scene\.tif.*int16.*--value-range"),
    ],
)
def test_a_raster_that_does_not_fit_is_refused_with_the_fix(
    make_raster, model_file, tmp_path, make, message
):
    with pytest.raises(ConfigError, match=message):
        geoseg.predict(make_raster(**make), model_file, out=tmp_path / "out")


def test_the_suggested_fix_works(make_raster, model_file, tmp_path):
    deep = make_raster("deep.tif", dtype="uint16", bands=5)
    report = geoseg.predict(
        deep, model_file, out=tmp_path / "out", bands="3,1,2", value_range="0,1000"
    )
    assert report.exit_code == 0


def test_bands_in_another_order_give_the_same_bits_by_name_and_by_option(
    make_raster, model_file, tmp_path
):
    ordered = smooth(make_raster)
    turned = make_raster("turned.tif", data=read(ordered)[::-1], photometric="MINISBLACK")
    with rasterio.open(turned, "r+") as file:
        file.descriptions = ("B", "G", "R")
    geoseg.predict(ordered, model_file, out=tmp_path / "ordered", vectors="none")
    report = geoseg.predict(turned, model_file, out=tmp_path / "by_name", vectors="none")
    assert any(
        "bands 3,2,1 (R, G, B) are chosen by name" in line for line in report.data["warnings"]
    )
    geoseg.predict(
        turned, model_file, out=tmp_path / "given", vectors="none", bands="red,green,blue"
    )
    expected = read(tmp_path / "ordered/scene_classes.tif")
    for folder in ("by_name", "given"):
        np.testing.assert_array_equal(read(tmp_path / folder / "turned_classes.tif"), expected)


def test_a_missing_crs_is_a_warning_and_crs_fixes_it(make_raster, model_file, tmp_path):
    scene = smooth(make_raster, crs=None)
    report = geoseg.predict(scene, model_file, out=tmp_path / "without")
    assert any("coordinate system" in line for line in report.data["warnings"])
    assert geopandas.read_file(tmp_path / "without/scene_polygons.gpkg").area_m2.isna().all()
    geoseg.predict(scene, model_file, out=tmp_path / "with", crs="EPSG:25832")
    assert geopandas.read_file(tmp_path / "with/scene_polygons.gpkg").crs.to_epsg() == 25832


def test_another_ground_sampling_is_a_warning(make_raster, model_file, tmp_path):
    from rasterio.transform import from_origin

    scene = smooth(make_raster, transform=from_origin(500_000, 5_400_000, 2.0, 2.0))
    report = geoseg.predict(scene, model_file, out=tmp_path / "out", vectors="none")
    assert any("0.5" in line and "2" in line for line in report.data["warnings"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 40}, "overlap=40 does not fit window=32"),
        ({"window": 0}, "window=0 pixels"),
        ({"block": "big"}, "block 'big': give one whole number, or auto"),
        ({"block": 0}, "block 0: give 1 pixel or more, or auto"),
        ({"workers": None}, "workers None: give one whole number"),
        ({"window": 2.5}, "window 2.5: give one whole number"),
        ({"flip": "yes"}, "flip 'yes': give true or false"),
        ({"batch": 0}, "batch 0: give a whole number of windows"),
        ({"scales": "0.5,x"}, "scales '0.5,x': give numbers separated by commas"),
        ({"scales": "0"}, "give one or more factors between 0.1 and 8"),
        ({"value_range": "5"}, "value_range '5': give two numbers"),
        ({"value_range": "9,3"}, "the first value must be below the second"),
        (
            {"vectors": "dwg"},
            "vectors 'dwg' is not a format that geoseg writes; use gpkg, shp, fgb",
        ),
        ({"min_confidence": 2.0}, "min_confidence 2.0: give a probability"),
        ({"bands": "0,1,2"}, "bands count from 1"),
        ({"device": "tpu"}, "device 'tpu'"),
        ({"precision": "fp16"}, "precision fp16 is for GPUs"),
        ({"precision": "int8"}, "precision 'int8' is unknown"),
        ({"workers": -1}, "workers -1"),
        ({"ovrlap": 3}, "option 'ovrlap' is unknown; did you mean overlap?"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_begins(
    make_raster, model_file, tmp_path, options, message
):
    with pytest.raises((ConfigError, ValueError), match=message.replace("?", r"\?")):
        geoseg.predict(smooth(make_raster), model_file, out=tmp_path / "out", **options)
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_missing_file_and_an_empty_folder_are_named(model_file, tmp_path):
    with pytest.raises((ConfigError, SourceError), match=r"nothing\.tif"):
        geoseg.predict(tmp_path / "nothing.tif", model_file, out=tmp_path / "out")
    (tmp_path / "bare").mkdir()
    with pytest.raises((ConfigError, SourceError), match="bare"):
        geoseg.predict(tmp_path / "bare", model_file, out=tmp_path / "out")


def test_a_broken_model_is_named(make_raster, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        geoseg.predict(smooth(make_raster), tmp_path / "m.safetensors", out=tmp_path / "out")


def test_an_output_folder_that_cannot_be_made_is_named(make_raster, model_file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/out cannot be written .*; choose another --out"):
        geoseg.predict(smooth(make_raster), model_file, out=tmp_path / "file" / "out")


def test_a_full_disk_fails_the_input_and_leaves_no_final_file(
    make_raster, model_file, tmp_path, monkeypatch
):
    from geoseg.inference import parts, survey

    def full(part, data):
        raise OutputError(
            f"{part.path.parent}: cannot write parts (No space left on device); free the disk"
        )

    monkeypatch.setattr(parts, "write_part", full)
    monkeypatch.setattr(survey, "HELD_BYTES", 0)  # else those of a small raster are no files
    report = geoseg.predict(smooth(make_raster), model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    assert "No space left on device" in report.data["failures"][0]
    assert not list((tmp_path / "out").glob("scene*"))


@pytest.mark.slow
def test_a_model_in_memory_works_too_also_with_workers(make_raster, model_file, tmp_path):
    from dataclasses import replace

    model = replace(geoseg.load_model(model_file), path=None)
    scene = smooth(make_raster)
    geoseg.predict(scene, model, out=tmp_path / "here", vectors="none")
    geoseg.predict(scene, model, out=tmp_path / "there", vectors="none", workers=1)
    np.testing.assert_array_equal(
        read(tmp_path / "here/scene_classes.tif"), read(tmp_path / "there/scene_classes.tif")
    )
    assert not (tmp_path / "there/.geoseg").exists()


def allow_interrupts():
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def predict_command(scene, model, out, *options):
    files = [str(scene), "--model", str(model), "--out", str(out)]
    return [sys.executable, "-m", "geoseg.cli", "predict", *files, *map(str, options)]


def start_and_stop(command, out, stop, **options):
    """Run the program until it has written 3 parts; the ended process and its stderr."""
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=allow_interrupts, **options
    )
    deadline = time.monotonic() + 120
    while len(list(out.glob(".geoseg/*/*-classes.tif"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    stop(process)
    _, errors = process.communicate(timeout=60)
    return process, errors


@pytest.mark.slow
def test_ctrl_c_ends_a_run_with_workers_in_one_line(make_raster, hcnet_file, tmp_path):
    scene, out = smooth(make_raster, height=1000, width=1000), tmp_path / "out"
    process, errors = start_and_stop(
        predict_command(scene, hcnet_file, out, "--workers", "2", "--quiet"),
        out,
        # As a terminal does: to the workers too.
        stop=lambda process: os.killpg(process.pid, signal.SIGINT),
        start_new_session=True,
    )
    assert process.returncode == 130
    assert errors == "geoseg: interrupted; the same command continues where this run stopped\n"
    assert json.loads((out / "report.json").read_text())["inputs"][0]["status"] == "interrupted"
    assert not list(out.glob("scene*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "number"),
    [(0, signal.SIGTERM), (0, signal.SIGINT), (2, signal.SIGTERM), (2, signal.SIGINT)],
)
def test_a_second_signal_ends_a_run_and_its_workers_at_once_and_it_is_resumed(
    make_raster, hcnet_file, tmp_path, workers, number
):
    scene, out = smooth(make_raster, height=1000, width=1000), tmp_path / "out"
    started = []

    def twice(process):
        started.extend(psutil.Process(process.pid).children(recursive=True))
        os.killpg(process.pid, number)  # as a terminal and a service manager do
        time.sleep(0.05)
        os.killpg(process.pid, number)

    command = predict_command(scene, hcnet_file, out, "--workers", workers, "--quiet")
    process, errors = start_and_stop(command, out, twice, start_new_session=True)
    code = {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    # Where the first signal had ended the run already, the second one may meet Python's own end.
    assert process.returncode in (code, -number)
    assert errors == "geoseg: interrupted; the same command continues where this run stopped\n"
    assert not psutil.wait_procs(started, timeout=20)[1]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert (out / "scene_classes.tif").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, signal.SIGINT, signal.SIGTERM],
)
def test_a_killed_program_continues_where_it_stopped(make_raster, hcnet_file, tmp_path, how):
    scene, out = smooth(make_raster, height=600, width=600), tmp_path / "out"
    command = predict_command(scene, hcnet_file, out)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process, errors = start_and_stop(
        command, out, stop=lambda process: process.send_signal(how), env=environment
    )
    if how != signal.SIGKILL:
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[how]
        assert (
            errors.strip().splitlines()[-1]
            == "geoseg: interrupted; the same command continues where this run stopped"
        )
        assert "Traceback" not in errors
    assert not list(out.glob("scene*"))
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "scene.tif: resuming, " in again.stderr
    assert (out / "scene_classes.tif").exists()


@pytest.mark.parametrize("virtual", [False, True])
def test_outputs_of_a_raster_without_a_place_carry_none_and_no_areas(
    make_raster, model_file, tmp_path, virtual
):
    source = only_a_coordinate_system(make_raster, virtual=virtual)
    report = geoseg.predict(source, model_file, out=tmp_path / "out")
    assert any("would give it a place" in line for line in report.data["warnings"])
    with rasterio.open(tmp_path / "out" / "unplaced_classes.tif") as file:
        assert (file.crs, file.transform.is_identity) == (None, True)
    polygons = pyogrio.read_dataframe(tmp_path / "out" / "unplaced_polygons.gpkg")
    assert polygons["area_m2"].isna().all()


def test_small_regions_vanish_from_polygons_and_where_asked_from_the_class_raster(
    make_raster, model_file, tmp_path
):
    scene, out = smooth(make_raster), tmp_path / "out"
    options = {"min_area": "30px", "keep": "tree", "vectors": "gpkg"}
    geoseg.predict(scene, model_file, out=out, block=40, clean_raster=True, **options)
    polygons = geopandas.read_file(out / "scene_polygons.gpkg")
    small = polygons[polygons.area_m2 < 30 * 0.25]
    assert set(small["class"]) <= {"tree"}
    labels = read(out / "scene_classes.tif")[0]
    with rasterio.open(out / "scene_classes.tif") as file:
        drawn = rasterize(
            zip(polygons.geometry, polygons.class_id, strict=True),
            file.shape,
            transform=file.transform,
        )
    np.testing.assert_array_equal(drawn, labels)
    apart = tmp_path / "apart"
    geoseg.predict(scene, model_file, out=apart, **options)
    exact = read(apart / "scene_classes.tif")[0]
    assert (exact != labels).any()
    assert geopandas.read_file(apart / "scene_polygons.gpkg").equals(polygons)
    assert geoseg.predict(scene, model_file, out=apart, min_area="31px").exit_code == 1
    del options["vectors"]
    geoseg.vectorize(apart / "scene_classes.tif", tmp_path / "v.gpkg", **options)
    same = geopandas.read_file(tmp_path / "v.gpkg")
    assert same.drop(columns="confidence").equals(polygons.drop(columns="confidence"))


def test_cleaned_polygons_are_the_same_whatever_the_blocks_were(
    make_raster, model_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("geoseg.inference.polygons.CELL", 64)
    scene, found = smooth(make_raster), []
    for block in ("auto", 37, 90):
        out = tmp_path / f"out {block}"
        options = {"min_area": 5, "simplify": 0.5, "keep": "tree", "regularize": "tree"}
        geoseg.predict(scene, model_file, out=out, block=block, preview=False, **options)
        found.append(geopandas.read_file(out / "scene_polygons.gpkg"))
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    assert shapely.coverage_is_valid(found[0].geometry.array)
    assert found[0].area_m2.sum() == pytest.approx(150 * 170 * 0.25, rel=1e-9)


@pytest.mark.parametrize("option", [{"smooth": True}, {"regularize": "tree"}])
def test_each_way_to_draw_borders_draws_others(make_raster, model_file, tmp_path, option):
    scene, found = smooth(make_raster), []
    for options in ({}, option):
        out = tmp_path / f"out {len(options)}"
        geoseg.predict(scene, model_file, out=out, simplify=0.5, preview=False, **options)
        found.append(geopandas.read_file(out / "scene_polygons.gpkg"))
    assert not found[0].equals(found[1])
