"""The report of a run: the outcome of each input, in JSON and as text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geoseg
from geoseg.errors import OutputError
from geoseg.inference import run_report
from geoseg.inference.area_table import ClassAreas
from geoseg.inference.further_files import refuse_further, write_further
from geoseg.inference.keys import key_of
from geoseg.inference.options import PredictOptions
from geoseg.inference.run import PredictRun
from geoseg.inference.run_report import RunReport
from geoseg.inference.sheet import RasterResult
from geoseg.inference.survey import RasterJob, survey_raster

MakeRun = Callable[..., PredictRun]
MakeJob = Callable[..., RasterJob]


def report_of(run: PredictRun, started: float) -> RunReport:
    report = RunReport(run.options, started)
    report.begin(run)
    return report


def result(**changes: Any) -> RasterResult:
    counts = [0] * 256
    counts[:4] = [10, 0, 30, 40]
    counts[254], counts[255] = 5, 6
    seconds = {"forward": 1.23456, "predict": 2.0, "files": 0.5, "polygons": 0.25, "total": 3.0}
    given = {"forwards": 12, "cells": 5, "counts": counts, "seconds": seconds, "process_memory": 0}
    return RasterResult(**{**given, **changes})


def test_a_new_report_knows_model_options_and_settings(make_run: MakeRun) -> None:
    run = make_run(flip=True, nodata=3)
    data = report_of(run, time.perf_counter()).data()
    assert data["geoseg"] == geoseg.__version__
    assert data["model"] == {
        "path": None,
        "sha256": "16-4",
        "system": "smp.pspnet",
        "encoder": "resnet18",
    }
    options = data["options"]
    assert (options["flip"], options["nodata"], options["vectors"]) == (True, (3.0,), ("gpkg",))
    assert (options["device"], options["precision"]) == ("cpu", "fp32")
    assert data["fingerprint"] == key_of(run.settings)
    assert data["threads"] == run.threads
    assert (data["plan"], data["inputs"], data["warnings"], data["failures"]) == ({}, [], [], [])
    assert (data["windows"], data["forwards"]) == (0, 0)
    assert data["peak_memory_bytes"] > 2**20


def test_a_finished_raster_is_done_with_all_that_it_took(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run()
    job = make_job(run)
    survey = survey_raster(run, job)
    report = report_of(run, time.perf_counter() - 100.0)
    report.accept(job, ["scene.tif: mind this"])
    assert report.data()["inputs"][0]["status"] == "not begun"
    report.finish(survey, result())
    report.plan = {"forwards": 42}
    data = report.data()
    (entry,) = data["inputs"]
    assert entry == {
        "path": str(job.source.path),
        "status": "done",
        "warnings": ["scene.tif: mind this"],
        "outputs": {output.kind: str(output.path) for output in survey.outputs},
        "fingerprints": {output.kind: output.key for output in survey.outputs},
        "windows": 35,
        "forwards": 12,
        "cells": 5,
        "pixels": {"class 0": 10, "class 1": 0, "class 2": 30, "class 3": 40},
        "uncertain_pixels": 5,
        "nodata_pixels": 6,
        "areas_m2": {},
        "seconds": {
            "forward": 1.235,
            "predict": 2.0,
            "files": 0.5,
            "polygons": 0.25,
            "total": 3.0,
        },
    }
    assert data["plan"] == {"forwards": 42}
    assert (data["windows"], data["forwards"], data["cells"]) == (35, 12, 5)
    assert data["warnings"] == ["scene.tif: mind this"]
    assert 100.0 <= data["seconds"].pop("total") < 160.0
    assert data["seconds"] == {"forward": 1.235, "predict": 2.0, "files": 0.5, "polygons": 0.25}


@pytest.mark.parametrize(
    ("valid", "uncertain", "warned"), [(0, 0, True), (0, 1, False), (1, 0, False)]
)
def test_a_raster_without_a_valid_pixel_is_warned_about(
    make_run: MakeRun, make_job: MakeJob, valid: int, uncertain: int, warned: bool
) -> None:
    run = make_run()
    job = make_job(run)
    report = report_of(run, 0.0)
    report.accept(job, [])
    counts = [0] * 256
    counts[2], counts[254], counts[255] = valid, uncertain, 9
    report.finish(survey_raster(run, job), result(counts=counts))
    line = f"{job.source.path}: no valid pixel; all of the output is nodata"
    assert report.data()["warnings"] == ([line] if warned else [])


def test_every_status_is_counted_and_failures_are_one_line_each(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run()
    jobs = [make_job(run, f"{name}.tif") for name in ("failed", "stopped", "waiting", "done")]
    report = report_of(run, time.perf_counter())
    for job in jobs:
        report.accept(job, [])
    report.refuse(Path("refused.tif"), "refused.tif: no image")
    report.fail(jobs[0], "failed.tif: gone")
    report.interrupt(jobs[1])
    report.finish(survey_raster(run, jobs[3]), result())
    data = report.data()
    assert [entry["status"] for entry in data["inputs"]] == [
        "failed",
        "interrupted",
        "not begun",
        "done",
        "refused",
    ]
    assert data["inputs"][4] == {
        "path": "refused.tif",
        "status": "refused",
        "warnings": [],
        "error": "refused.tif: no image",
    }
    assert (data["windows"], data["forwards"], data["cells"]) == (35, 12, 5)
    assert report.failures == data["failures"] == ["failed.tif: gone", "refused.tif: no image"]
    summary = report.to_report()
    assert summary.text.startswith("1 done, 1 refused, 1 failed, 1 interrupted, 1 not begun in 0.")
    assert summary.text.endswith(" s (1.2 s of it in the network)")
    assert summary.exit_code == 1


def test_without_failures_the_exit_code_is_0(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run()
    job = make_job(run)
    report = report_of(run, time.perf_counter() - 61.26)
    report.accept(job, [])
    report.finish(survey_raster(run, job), result())
    summary = report.to_report()
    assert summary.exit_code == 0
    assert summary.text.startswith("1 done in 61.")


def test_a_dry_run_says_that_nothing_was_written(make_run: MakeRun) -> None:
    report = report_of(make_run(dry_run=True), 0.0)
    assert report.to_report().text == "dry run: nothing was written"
    assert report.to_report().exit_code == 0
    report.refuse(Path("a.tif"), "a.tif: no")
    assert report.to_report().exit_code == 1


def test_memory_is_this_processs_and_each_workers_at_its_largest(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_report, "peak_memory", lambda: 1000)
    run = make_run(workers=3)
    job = make_job(run)
    report = report_of(run, 0.0)
    report.accept(job, [])
    assert report.data()["peak_memory_bytes"] == 1000
    for process_memory in (10, 20, 5):
        report.finish(survey_raster(run, job), result(process_memory=process_memory))
    assert report.data()["peak_memory_bytes"] == 1000 + 3 * 20


def test_the_file_holds_the_data_as_strict_json(make_run: MakeRun, tmp_path: Path) -> None:
    report = report_of(make_run(nodata=float("nan")), time.perf_counter())
    path = tmp_path / "report.json"
    report.write(path)
    text = path.read_text()
    written = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert written["options"]["nodata"] == ["nan"]
    assert list(written) == list(report.data())
    assert text.endswith("}\n")
    assert '\n  "geoseg"' in text, "indented by two spaces"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]
    assert report.to_report().data["options"]["nodata"] == ["nan"]


def test_a_report_that_cannot_be_written_is_one_failure_more(
    make_run: MakeRun, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    report = report_of(make_run(), 0.0)
    report.write(tmp_path / "file/report.json")
    (line,) = report.failures
    assert "report.json: cannot be written" in line
    assert report.to_report().exit_code == 1


@pytest.mark.parametrize("content", ["# notes", "[1]", '{"inputs": 3}'])
def test_another_report_of_this_name_is_replaced_only_if_that_is_wanted(
    make_run: MakeRun, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "report.json"
    refuse_further(tmp_path, PredictOptions())
    path.write_text(content)
    with pytest.raises(OutputError, match=r"report\.json exists and was not written by geoseg pre"):
        refuse_further(tmp_path, PredictOptions())
    refuse_further(tmp_path, PredictOptions(overwrite=True))
    report_of(make_run(), 0.0).write(path)
    refuse_further(tmp_path, PredictOptions())


def test_outcomes_are_told_as_they_come_and_the_stream_goes_with_the_report(
    make_run: MakeRun, make_job: MakeJob, tmp_path: Path
) -> None:
    run, stream = make_run(), tmp_path / ".geoseg/report.jsonl"
    stream.parent.mkdir()
    first, second = make_job(run, "a.tif"), make_job(run, "b.tif")
    report = report_of(run, 0.0)
    report.refuse(Path("c.tif"), "c.tif: no")
    report.accept(first, [])
    report.accept(second, [])

    def told() -> list[tuple[str, str]]:
        lines = map(json.loads, stream.read_text().splitlines())
        return [(Path(line["path"]).name, line["status"]) for line in lines]

    with report.streaming(stream):
        assert told() == [("c.tif", "refused")]
        report.finish(survey_raster(run, second), result())
        report.fail(first, "a.tif: torn")
        assert told() == [("c.tif", "refused"), ("b.tif", "done"), ("a.tif", "failed")]
    report.write(tmp_path / "report.json")
    assert not stream.exists()
    written = (tmp_path / "report.json").read_text()
    inputs = json.loads(written)["inputs"]
    assert [Path(entry["path"]).name for entry in inputs] == ["c.tif", "a.tif", "b.tif"]
    assert sum('"path": "' in line and '"status"' in line for line in written.splitlines()) == 3


def test_a_stream_that_cannot_be_written_is_an_error_of_the_output(
    make_run: MakeRun, tmp_path: Path
) -> None:
    stream = report_of(make_run(), 0.0).streaming(tmp_path / "none/report.jsonl")
    with pytest.raises(OutputError, match=r"report\.jsonl: cannot be written"), stream:
        pytest.fail("begun")


def test_what_is_finished_is_listed_in_the_order_of_the_inputs_whichever_ends_first(
    make_run: MakeRun, make_job: MakeJob, tmp_path: Path
) -> None:
    run = make_run()
    report = report_of(run, time.perf_counter())
    jobs = [make_job(run, f"{name}.tif") for name in "abc"]
    for job in jobs:
        report.accept(job, [])
    for job in reversed(jobs):
        survey = survey_raster(run, job)
        areas = ClassAreas(survey.outputs[0].path, np.ones(5, np.int64), np.ones(5))
        report.finish(survey, result(areas=[areas]))
    assert [survey.job for survey, _ in report.finished] == jobs
    write_further(run, report, pytest.fail)
    rows = (run.out / "areas.csv").read_text().splitlines()[1:]
    assert list(dict.fromkeys(row.split(",")[0] for row in rows)) == ["a", "b", "c", "total"]
