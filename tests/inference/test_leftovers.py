from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.inference.leftovers import remove_leftovers
from geoseg.inference.run import PredictRun
from geoseg.inference.survey import RasterJob, survey_raster

MakeRun = Callable[..., PredictRun]
MakeJob = Callable[..., RasterJob]


@pytest.mark.parametrize("gone", [True, False])
def test_parts_of_a_source_that_is_gone_are_removed_and_named(
    make_run: MakeRun, make_job: MakeJob, gone: bool
) -> None:
    run = make_run()
    survey = survey_raster(run, make_job(run, "a.tif"))
    survey.folder.write_plan(survey.blocks, 1, "fp32")
    source = survey.job.source.path
    if gone:
        source.unlink()
    lines = remove_leftovers(run.out, run.work)
    assert survey.folder.path.exists() != gone
    assert lines == [f"{source} is gone; its unfinished parts are removed"] * gone


def test_a_source_on_a_disk_that_is_not_there_is_not_gone(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run()
    survey = survey_raster(run, make_job(run, "a.tif"))
    survey.folder.write_plan(survey.blocks, 1, "fp32")
    source = survey.job.source.path
    plan = survey.folder.path / "plan.json"
    plan.write_text(plan.read_text().replace(str(source.parent), "/no/such/disk"))
    assert remove_leftovers(run.out, run.work) == []
    assert plan.exists()


def test_models_of_workers_and_unfinished_files_beside_any_parts_are_removed(
    tmp_path: Path,
) -> None:
    out, work = tmp_path / "out", tmp_path / "out/.geoseg"
    parts = work / "north/a-0123456789abcdef"
    for path in (work / "model-12.safetensors", parts / "plan.json", out / "north/a_classes.tif"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (out / "north/.a_polygons.gpkg.4194999-x.geoseg").mkdir()  # no process has this number
    assert remove_leftovers(out, work) == []
    assert [path.name for path in (out / "north").iterdir()] == ["a_classes.tif"]
    assert [path.name for path in work.iterdir()] == ["north"]
