"""Surveyed rasters become files: each look is taken once, and a source that changes is noticed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import torch

import geoseg
from geoseg.errors import PartError, SourceError
from geoseg.inference import areas, engine
from geoseg.inference import parts as parts_module
from geoseg.inference import survey as survey_module
from geoseg.inference.run import PredictRun
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.stories import tell_stories
from geoseg.inference.survey import RasterJob, Survey, survey_raster
from geoseg.models import Model
from geoseg.progress import Progress
from geoseg.raster import Part, SeenSource
from geoseg.vector import Cleaning
from tests.chaos.outcome import differences, outcome

MakeRun = Callable[..., PredictRun]
MakeJob = Callable[..., RasterJob]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Listener(Progress):
    """Keeps what it hears, and does something after some windows."""

    def __init__(self, windows: int = -1, do: Callable[[], None] = lambda: None) -> None:
        self.heard: list[Any] = []
        self._left, self._do = windows, do

    def note(self, line: str) -> None:
        self.heard.append(line)

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left == 0:
            self._do()


def make(
    run: PredictRun,
    survey: Survey,
    listener: Progress | None = None,
    *,
    workers: bool = True,
    beside: bool = True,
) -> RasterResult:
    listener, result = listener or Progress(), RasterResult()
    with run.open_slots(listener.advance, workers=workers) as slots:
        beside = beside and run.begins_files
        tell_stories([tell_raster(run.facts, survey, listener, result, beside=beside)], slots)
    return result


def run_job(
    run: PredictRun, job: RasterJob, listener: Progress | None = None
) -> tuple[Survey, RasterResult]:
    survey = survey_raster(run, job)
    return survey, make(run, survey, listener)


def interrupt() -> None:
    raise KeyboardInterrupt


def begin(run: PredictRun, job: RasterJob, windows: int) -> None:
    """An interrupted run."""
    with pytest.raises(KeyboardInterrupt):
        run_job(run, job, Listener(windows, interrupt))


def labels_of(run: PredictRun, stem: str = "scene") -> np.ndarray:
    with rasterio.open(run.out / f"{stem}_classes.tif") as file:
        return file.read(1)


@pytest.mark.parametrize("options", [{}, {"probabilities": True, "min_confidence": 0.4}])
def test_parts_of_a_small_raster_are_held_and_its_files_are_those_of_files(
    make_run: MakeRun,
    make_job: MakeJob,
    make_model: Callable[..., Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    written: list[str] = []
    write_part = parts_module.write_part

    def writing(part: Part, data: Any) -> int:
        written.append(part.path.name)
        return write_part(part, data)

    monkeypatch.setattr(parts_module, "write_part", writing)
    run = make_run(make_model(window=64), confidence=True, **options)
    job = make_job(run, height=60, width=50)
    planes = 2 + 4 * bool(options)
    monkeypatch.setattr(survey_module, "HELD_BYTES", planes * 60 * 50 - 1)
    run_job(run, job)
    assert len(written) == 2 + bool(options)
    run.work.rmdir()
    (tmp_path / "out").rename(tmp_path / "expected")
    monkeypatch.setattr(survey_module, "HELD_BYTES", planes * 60 * 50)
    run_job(run, job)
    assert len(written) == 2 + bool(options)
    assert differences(outcome(tmp_path / "out"), outcome(tmp_path / "expected")) == []


def test_parts_are_held_where_nothing_of_them_could_be_resumed(
    make_run: MakeRun, make_job: MakeJob, make_model: Callable[..., Model]
) -> None:
    run = make_run(make_model(window=64))
    small = survey_raster(run, make_job(run, height=60, width=50))
    assert small.can_be_held(Cleaning())
    assert not small.can_be_held(Cleaning(min_area="4px"))
    assert not replace(small, resumed=True).can_be_held(Cleaning())
    of_two_bands = survey_raster(run, make_job(run, height=130, width=50))
    assert not of_two_bands.can_be_held(Cleaning())


def test_what_a_raster_took(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(confidence=True)
    passed: list[int] = []
    listener = Listener()
    monkeypatch.setattr(listener, "advance", passed.append)
    survey, result = run_job(run, make_job(run), listener)
    assert listener.heard == []
    assert sum(passed) == 35
    assert result.forwards == survey.forwards == 35
    counts = np.bincount(labels_of(run).ravel(), minlength=256)
    np.testing.assert_array_equal(result.counts, counts)
    assert result.process_memory > 2**20
    seconds = result.seconds
    assert set(seconds) == {"forward", "predict", "files", "polygons", "total"}
    assert 0.0 < seconds["forward"] <= seconds["predict"]
    stages = seconds["predict"] + seconds["files"]
    assert 0.0 < stages <= seconds["total"] < stages + 5.0
    assert 0.0 < seconds["polygons"] <= seconds["files"]
    assert all(output.is_current() for output in survey.outputs)
    assert not survey.folder.path.exists()


@pytest.mark.parametrize("damaged", [False, True])
def test_polygons_made_by_many_tasks_are_those_of_one(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    def features(run: PredictRun) -> list[tuple[Any, ...]]:
        _, _, geometry, fields = pyogrio.raw.read(run.out / "scene_polygons.gpkg")
        return list(zip(*[geometry, *fields], strict=True))

    run = make_run()
    job = make_job(run)
    run_job(run, job)
    expected = features(run)
    (run.out / "scene_polygons.gpkg").unlink()
    (run.out / "scene_preview.png").unlink()
    monkeypatch.setattr(areas, "AREA_PIXELS", 500)
    if damaged:
        write_part = parts_module.write_part

        def spoil(part: Any, data: Any) -> None:
            write_part(part, data)
            if first.pop(part.path.name, False):
                part.path.write_bytes(part.path.read_bytes()[:-9])

        first = {"0000-00002-classes.tif": True}
        monkeypatch.setattr(parts_module, "write_part", spoil)
    listener = Listener()
    survey, result = run_job(run, job, listener)
    assert len(listener.heard) == damaged
    assert len(areas.area_tree(survey.blocks)[0]) > 3
    assert features(run) == expected
    assert all(output.is_current() for output in survey.outputs)
    assert result.seconds["polygons"] > 0.0
    assert not survey.folder.path.exists()


def test_a_complete_raster_is_only_counted(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(vectors="none")
    job = make_job(run)
    _, first = run_job(run, job)
    listener = Listener()
    _, second = run_job(run, job, listener)
    assert listener.heard == []
    assert second.forwards == 0
    assert list(second.counts) == list(first.counts)
    assert set(second.seconds) == {"files", "total"}


def test_a_run_that_was_killed_at_its_very_end_leaves_parts_that_go(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(vectors="none")
    job = make_job(run)
    survey, _ = run_job(run, job)
    survey.folder.write_plan(survey.blocks, None, "fp32")
    run_job(run, job)
    assert not survey.folder.path.exists()


def test_a_missing_preview_is_drawn_without_a_window(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(vectors="none")
    job = make_job(run)
    run_job(run, job)
    preview = run.out / "scene_preview.png"
    pixels = rasterio.open(preview).read()
    preview.unlink()
    survey, result = run_job(run, job)
    assert result.forwards == 0
    assert "predict" not in result.seconds
    assert survey.outputs[1].is_current()
    np.testing.assert_array_equal(rasterio.open(preview).read(), pixels)


@pytest.mark.parametrize("block", ["auto", 40])
def test_a_resumed_run_looks_once(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, block: Any
) -> None:
    """The source is compared once; parts that exist are not made again."""
    run = make_run(block=block, vectors="none")
    job = make_job(run)
    begin(run, job, windows=30)
    existing = {path.name for path in (run.out / ".geoseg").rglob("*-classes.tif")}
    assert len(existing) >= 3
    compared: list[Path] = []
    written: list[str] = []
    compare, write = SeenSource.has_changed, parts_module.write_part

    def writing(part: Any, data: Any) -> int:
        written.append(part.path.name)
        return write(part, data)

    def comparing(seen: SeenSource) -> bool:
        compared.append(seen.path)
        return compare(seen)

    monkeypatch.setattr(parts_module, "write_part", writing)
    monkeypatch.setattr(SeenSource, "has_changed", comparing)
    listener = Listener()
    survey, result = run_job(run, job, listener)
    assert existing.isdisjoint(written)
    assert compared == [job.source.path]
    bands = sum(1 for each in survey.blocks for _ in each.bands())
    assert listener.heard[0] == (
        f"scene.tif: resuming, {len(existing)} of {bands} bands exist; "
        "blocks and batch stay as that run chose them"
    )
    assert 0 < result.forwards < 35


def damage(part: Path) -> None:
    """Other pixels in as many bytes."""
    content = bytearray(part.read_bytes())
    content[-30:] = bytes(30)
    part.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("classes", {"vectors": "none"}),
        ("classes", {"vectors": "gpkg"}),
        ("confidence", {"vectors": "gpkg"}),
        ("probabilities", {"vectors": "none", "probabilities": True}),
    ],
)
def test_parts_that_were_damaged_unnoticed_are_made_anew_where_they_are_read(
    make_run: MakeRun, make_job: MakeJob, kind: str, options: dict[str, Any]
) -> None:
    run = make_run(block=40, **options)
    job = make_job(run)
    run_job(run, job)
    whole = labels_of(run)
    for path in run.out.glob("scene*"):
        path.unlink()
    begin(run, job, windows=30)
    damaged = sorted(run.out.rglob(f"*-{kind}.tif"))[:2]
    for part in damaged:
        damage(part)
    listener = Listener()
    survey, result = run_job(run, job, listener)
    assert survey.resumed
    assert re.search(rf"{kind}.tif: is missing or damaged by now; its block", listener.heard[-1])
    assert result.forwards > survey.forwards
    np.testing.assert_array_equal(labels_of(run), whole)
    assert all(output.is_current() for output in survey.outputs)


def test_a_source_that_is_replaced_while_parts_are_made_anew_fails(
    make_run: MakeRun, make_raster: Callable[..., Path], make_job: MakeJob
) -> None:
    run = make_run(vectors="none", block=40)
    job = make_job(run, seed=1)
    other = make_raster("other.tif", seed=2)
    begin(run, job, windows=30)
    damage(min(run.out.rglob("*-classes.tif")))
    survey = survey_raster(run, job)
    replacing = Listener(survey.forwards + 1, do=lambda: os.replace(other, job.source.path))
    with pytest.raises(SourceError, match=r"scene\.tif: changed while it was predicted"):
        make(run, survey, replacing)
    assert not list(run.out.glob("scene*"))
    assert not survey.folder.path.exists()


def test_a_resumed_run_gives_the_pixels_of_one_that_was_not(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(vectors="none", block=40)
    job = make_job(run)
    run_job(run, job)
    whole = labels_of(run)
    again = make_run(vectors="none", block=40, overwrite=True)
    for path in run.out.glob("scene*"):
        path.unlink()
    begin(again, job, windows=20)
    run_job(again, job)
    np.testing.assert_array_equal(labels_of(again), whole)


@pytest.mark.parametrize("plan", [None, "", '{"blocks": [[0, 0, 64, 80]], "batch": null}'])
def test_parts_whose_plan_is_lost_do_not_spoil_the_next_run(
    make_run: MakeRun, make_job: MakeJob, plan: str | None
) -> None:
    run = make_run(block=40)
    job = make_job(run)
    run_job(run, job)
    whole = labels_of(run)
    for path in run.out.glob("scene*"):
        path.unlink()
    begin(run, job, windows=30)
    (file,) = run.out.rglob("plan.json")
    if plan is None:
        file.unlink()
    else:
        file.write_text(plan)
    other = make_run(block=52)
    survey, _ = run_job(other, job)
    assert not survey.resumed
    assert survey.blocks == tuple(job.grid.blocks(52))
    np.testing.assert_array_equal(labels_of(other), whole)


def test_the_plan_is_written_before_the_first_block(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(vectors="none", block=40, batch=2)
    job = make_job(run)
    begin(run, job, windows=30)
    survey = survey_raster(make_run(vectors="none"), job)
    assert survey.resumed
    assert (len(survey.blocks), survey.batch) == (4, 2)


def test_a_source_that_is_replaced_meanwhile_fails(
    make_run: MakeRun, make_raster: Callable[..., Path], make_job: MakeJob
) -> None:
    """By one of the same size and shape: only its pixels are others."""
    run = make_run(vectors="none")
    job = make_job(run, seed=1)
    other = make_raster("other.tif", seed=2)
    listener = Listener(windows=20, do=lambda: os.replace(other, job.source.path))
    survey = survey_raster(run, job)
    message = r"scene\.tif: changed while it was predicted; .* run the command again"
    with pytest.raises(SourceError, match=message):
        make(run, survey, listener)
    assert not list(run.out.glob("scene*")), "nothing is assembled of two sources"
    assert not survey.folder.path.exists(), "nor are their parts kept"
    _, result = run_job(run, replace(job, seen=SeenSource.at(job.source.path)))
    assert result.forwards == 35


@pytest.mark.slow
def test_workers_run_what_is_missing_with_the_model_in_memory(
    make_run: MakeRun, make_job: MakeJob, model_file: Path
) -> None:
    model = geoseg.load_model(model_file)
    with torch.no_grad():
        next(model.net.parameters()).mul_(-1)
    here = make_run(model, vectors="none", window=16, overlap=4)
    job = make_job(here)
    run_job(here, job)
    expected = labels_of(here)
    for path in here.out.glob("scene*"):
        path.unlink()
    there = make_run(model, vectors="none", window=16, overlap=4, workers=1, block=40)
    survey = survey_raster(there, job)
    with there.open_slots(lambda _: None, workers=True):
        assert len(list(there.work.glob("model-*.safetensors"))) == 1
    result = make(there, survey)
    assert result.process_memory > 2**20
    assert not list(there.work.glob("model-*"))
    np.testing.assert_array_equal(labels_of(there), expected)


def test_no_worker_is_started_where_all_parts_exist(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(vectors="none", workers=1)
    job = make_job(run)
    here = make_run(vectors="none", workers=0)
    survey = survey_raster(here, job)
    monkeypatch.setattr(engine, "write_raster", lambda *_: interrupt())
    with pytest.raises(KeyboardInterrupt):
        make(here, survey, beside=False)
    assert survey_raster(here, job).forwards == 0
    monkeypatch.undo()
    monkeypatch.setattr("geoseg.inference.cluster.local_cluster", lambda workers: interrupt())
    torch.set_num_threads(1)
    survey = survey_raster(run, job)
    result = make(run, survey, workers=False)
    assert survey.resumed
    assert result.forwards == 0


def test_parts_of_other_options_are_named_and_go_with_overwrite(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    first = make_run(vectors="none")
    job = make_job(first)
    begin(first, job, windows=30)
    (stale,) = (first.out / ".geoseg").glob("scene-*")
    names = ("scene-0123", "scene-0123456789abcdef0", "scenery-0123456789abcdef", "scene.plan")
    foreign = [stale.with_name(name) for name in names]
    for folder in foreign:
        folder.mkdir()
    listener = Listener()
    other = make_run(vectors="none", flip=True)
    run_job(other, job, listener)
    assert listener.heard[0] == (
        f"{stale} holds parts of a run with other options; "
        "--overwrite removes them, or finish that run"
    )
    assert [line for line in listener.heard if "holds parts" in line] == listener.heard[:1]
    assert stale.exists()
    run_job(make_run(vectors="none", scales="2", overwrite=True), job)
    assert not stale.exists()
    assert all(folder.exists() for folder in foreign)


def test_a_part_that_is_damaged_meanwhile_is_made_again(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(block=40)
    job = make_job(run)
    run_job(run, job)
    whole = labels_of(run)
    for path in run.out.glob("scene*"):
        path.unlink()
    damaged: list[Path] = []

    def damage() -> None:
        damaged.append(next((run.out / ".geoseg").rglob("0000-00000-classes.tif")))
        damaged[0].write_bytes(damaged[0].read_bytes()[:-9])

    listener = Listener(windows=30, do=damage)
    _, result = run_job(run, job, listener)
    assert listener.heard == [f"{damaged[0]}: is missing or damaged by now; its block runs again"]
    assert result.forwards > 35
    np.testing.assert_array_equal(labels_of(run), whole)


def test_a_part_that_is_damaged_again_fails(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(vectors="none")
    tries: list[None] = []

    def damaged(*_: object) -> None:
        tries.append(None)
        raise PartError("damaged", "a.tif")

    monkeypatch.setattr(engine, "write_raster", damaged)
    with pytest.raises(PartError):
        run_job(run, make_job(run))
    assert len(tries) == 2


def test_own_parts_are_not_stale(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(vectors="none", overwrite=True)
    job = make_job(run)
    begin(run, job, windows=30)
    _, result = run_job(run, job)
    assert result.forwards < 35
