"""Faults at each stage of one input, and of the run itself: who fails, who goes on."""

import errno
import importlib
import json
import os

import pytest

import geoseg
from geoseg.errors import DeviceError, DiskError, OutputError
from geoseg.raster import LEAST_PIXELS, find_sources
from tests.fixtures.faults import stages_and_faults

pytestmark = pytest.mark.usefixtures("one_thread")

STAGES = {
    "finding": ("geoseg.raster.discovery", "read_fingerprint"),
    "opening": ("geoseg.inference.fitting", "stack"),
    "checking": ("geoseg.inference.fitting", "check_source"),
    "surveying": ("geoseg.commands.predict", "survey_raster"),
    "running": ("geoseg.inference.engine", "stream_block"),
    "writing parts": ("geoseg.inference.parts", "write_part"),
    "assembling": ("geoseg.inference.engine", "write_raster"),
    "polygons": ("geoseg.inference.polygons", "write_vectors"),
    "preview": ("geoseg.inference.engine", "write_preview"),
}
BEGUN = {"running", "writing parts", "assembling", "polygons", "preview"}
NAMES = ("a", "spoilt", "z")


class UnknownError(Exception):
    """A type that nobody expects."""


@pytest.fixture
def folder(make_raster, tmp_path):
    for name in NAMES:
        make_raster(f"in/{name}.tif")
    return tmp_path / "in"


def break_stage(monkeypatch, stage, error, name="spoilt"):
    """Let a stage raise where the input of that name passes it."""
    module, function = STAGES[stage]
    module = importlib.import_module(module)
    healthy = getattr(module, function)

    def broken(*arguments, **options):
        if f"/{name}" in repr((arguments, options)):
            raise error
        return healthy(*arguments, **options)

    monkeypatch.setattr(module, function, broken)
    if stage == "writing parts":  # those of rasters as small as these are held in memory
        monkeypatch.setattr("geoseg.inference.survey.HELD_BYTES", 0)


def statuses(report):
    return {os.path.basename(each["path"]): each["status"] for each in report.data["inputs"]}


@pytest.mark.parametrize(
    ("stage", "error"),
    stages_and_faults(
        STAGES, [UnknownError("no one\nknows"), TypeError("t"), OSError(errno.EMFILE, "files")]
    ),
)
def test_whatever_one_input_raises_at_any_stage_the_others_are_done(
    folder, model_file, tmp_path, monkeypatch, stage, error
):
    with monkeypatch.context() as patch:
        break_stage(patch, stage, error)
        report = geoseg.predict(folder, model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    worse = "failed" if stage in BEGUN | {"surveying"} else "refused"
    assert statuses(report) == {"a.tif": "done", "spoilt.tif": worse, "z.tif": "done"}
    (line,) = report.data["failures"]
    assert "spoilt" in line
    assert "\n" not in line
    written = json.loads((tmp_path / "out/report.json").read_text())
    assert written["failures"] == [line]
    # Whatever it was, the same command does the rest and leaves nothing behind.
    again = geoseg.predict(folder, model_file, out=tmp_path / "out")
    assert statuses(again) == {"a.tif": "kept", "spoilt.tif": "done", "z.tif": "kept"}
    assert not (tmp_path / "out/.geoseg").exists()


@pytest.mark.parametrize(
    ("stage", "error"),
    stages_and_faults(
        sorted(BEGUN), [DiskError("out: the disk is full"), DeviceError("cuda: is lost")]
    ),
)
def test_a_fault_of_the_run_stops_it_once_and_lists_what_is_not_done(
    folder, model_file, tmp_path, monkeypatch, stage, error
):
    with monkeypatch.context() as patch:
        break_stage(patch, stage, error)
        report = geoseg.predict(folder, model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    # Files of the input before it are made beside it, and the one behind it may be begun.
    found = statuses(report)
    assert found["spoilt.tif"] == "failed"
    assert found["a.tif"] in ("done", "interrupted")
    assert found["z.tif"] in ("interrupted", "not begun")
    first, second = report.data["failures"]
    assert first == str(error)
    left = [f"{folder}/{name}.tif" for name in ("a", "z") if found[f"{name}.tif"] != "done"]
    assert second == (
        f"the run was stopped there; not done: {', '.join(left)}; the same command continues"
    )
    assert "1 failed" in report.text
    again = geoseg.predict(folder, model_file, out=tmp_path / "out")
    assert again.exit_code == 0
    assert set(statuses(again).values()) <= {"done", "kept"}
    assert not (tmp_path / "out/.geoseg").exists()


def test_a_report_that_cannot_be_written_is_a_failure_and_not_the_end(
    folder, model_file, tmp_path, monkeypatch
):
    from geoseg.inference import run_report

    def full(path):
        raise OutputError(f"{path}: cannot be written (the disk is full); free the disk")

    monkeypatch.setattr(run_report, "replace_file", full)
    report = geoseg.predict(folder, model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    assert set(statuses(report).values()) == {"done"}
    (line,) = report.data["failures"]
    assert line.startswith(f"{tmp_path}/out/report.json: cannot be written")


def test_links_and_own_outputs_that_are_left_out_are_listed_in_the_report(
    folder, model_file, tmp_path
):
    (folder / "z_again.tif").symlink_to("a.tif")
    (folder / "loop").symlink_to(".")
    for _ in range(2):  # the second time its own outputs lie there too
        report = geoseg.predict(folder, model_file, out=folder, vectors="none")
        assert report.exit_code == 0
    left_out = report.data["left_out"]
    assert f"{folder}/z_again.tif: is the same file as {folder}/a.tif" in left_out
    assert any(line.startswith(f"{folder}/loop: leads back to ") for line in left_out)
    assert f"{folder}/a_classes.tif: was made by geoseg itself" in left_out
    assert len(report.data["warnings"]) == 2
    assert json.loads((folder / "report.json").read_text())["left_out"] == left_out
    assert find_sources([folder]).failures == {}


def test_a_name_too_long_for_its_outputs_fails_alone_before_it_is_run(
    make_raster, model_file, tmp_path, folder
):
    make_raster(f"in/{'n' * 241}.tif")
    report = geoseg.predict(folder, model_file, out=tmp_path / "out")
    assert report.exit_code == 1
    assert statuses(report)[f"{'n' * 241}.tif"] == "failed"
    assert list(statuses(report).values()).count("done") == 3
    assert "too long" in report.data["failures"][0]


EVERYTHING = {
    "confidence": True,
    "vectors": "gpkg,shp",
    "preview": True,
    "project": True,
    "stac": True,
    "overwrite": True,
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("good_classes.tif", {}),
        ("good_classes.tif.aux.xml", {}),
        ("good_confidence.tif", {}),
        ("good_polygons.gpkg", {}),
        ("good_polygons.dbf", {}),
        ("good_preview.png", {}),
        ("good.json", {}),
        ("collection.json", {}),
        ("areas.csv", {}),
        ("report.json", {}),
        ("out.qgz", {}),
        ("in_polygons.gpkg", {"merge": True}),
        ("good_classes.vrt", {"max_output_pixels": LEAST_PIXELS}),
        ("good_classes/good_classes_r000_c000.tif", {"max_output_pixels": LEAST_PIXELS}),
    ],
)
def test_a_folder_in_the_place_of_an_output_is_refused_before_anything_runs(
    make_raster, tmp_path, model_file, monkeypatch, name, options
):
    make_raster("in/good.tif", width=600, height=600 if "max_output_pixels" in options else 64)
    monkeypatch.setattr("geoseg.inference.engine.stream_block", pytest.fail)
    blocker = tmp_path / "out" / name
    blocker.mkdir(parents=True)
    words = f"{name} is a folder, and a file is to be written there; move it away"
    try:
        options = EVERYTHING | options
        done = geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "out", **options)
        (line,) = done.data["failures"]
    except OutputError as error:  # of what all inputs share
        line = str(error)
    assert words in line
    top = tmp_path / "out" / name.partition("/")[0]
    assert {*(tmp_path / "out").iterdir()} <= {top, tmp_path / "out" / "report.json"}
    assert blocker.is_dir()
