"""Where tasks travel, the files of a small raster are one of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geoseg.errors import OutputError
from geoseg.inference import small_rasters
from geoseg.inference.run import PredictRun
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.small_rasters import make_files, tell_apart, tell_together
from geoseg.inference.stories import Future, Lane, Slots, Task, tell_stories
from geoseg.inference.survey import RasterJob, survey_raster
from geoseg.models import Model
from geoseg.progress import Progress
from tests.chaos.outcome import differences, outcome


class Listening:
    """Slots that keep the names of their tasks."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.names: list[str] = []
        self.bytes: list[int] = []
        self.capacity, self.check = slots.capacity, slots.check

    def submit(self, lane: Lane, task: Task) -> Future:
        self.names.append(task.function.__name__)
        self.bytes.append(len(pickle.dumps(task)))
        return self._slots.submit(lane, task)


def tell(run: PredictRun, job: RasterJob) -> tuple[Listening, RasterResult]:
    """The tasks of a raster, told as to workers that `run` may have, but run in this process."""
    result = RasterResult()
    with run.open_slots(lambda _: None, workers=False) as slots:
        listening = Listening(slots)
        tell_stories(
            [tell_raster(run.facts, survey_raster(run, job), Progress(), result)], listening
        )
    return listening, result


@pytest.mark.parametrize(
    ("options", "apart", "tasks"),
    [
        ({}, ["make_raster", "make_polygons", "make_preview"], 1),
        ({"vectors": "none", "preview": False}, ["make_raster"], 1),
        ({"min_area": "4px"}, ["clean_area", "make_raster", "make_polygons", "make_preview"], 2),
    ],
)
def test_they_are_one_task_and_the_same_files(
    make_run: Callable[..., PredictRun],
    make_job: Callable[..., RasterJob],
    tmp_path: Path,
    options: dict[str, Any],
    apart: list[str],
    tasks: int,
) -> None:
    run = make_run(**options)
    job = make_job(run)
    assert set(tell(run, job)[0].names) >= set(apart)
    together = make_run(workers=2, **options)
    (tmp_path / "out").rename(tmp_path / "expected")
    listening, _ = tell(together, job)
    assert listening.names == ["predict_block", *["make_files"] * tasks]
    assert differences(outcome(tmp_path / "out"), outcome(tmp_path / "expected")) == []


def test_counts_and_seconds_are_those_of_each(
    make_run: Callable[..., PredictRun],
    make_job: Callable[..., RasterJob],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(small_rasters, "MOST_PIXELS", 40 * 50)
    run = make_run(workers=2)
    listening, result = tell(run, make_job(run, height=40, width=50))
    assert "make_files" in listening.names
    assert result.counts.sum() == 40 * 50
    assert result.seconds["polygons"] > 0


@pytest.mark.parametrize("most", [512 * 520, 512 * 520 - 1])
def test_squares_and_large_rasters_keep_their_tasks(
    make_run: Callable[..., PredictRun],
    make_job: Callable[..., RasterJob],
    make_model: Callable[..., Model],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    cut = 512 * 512 if most == 512 * 520 else 2**30
    run = make_run(make_model(window=256), workers=2, max_output_pixels=cut, vectors="none")
    monkeypatch.setattr(small_rasters, "MOST_PIXELS", most)
    listening, _ = tell(run, make_job(run, height=512, width=520))
    assert "make_files" not in listening.names
    assert "make_raster" in listening.names


def test_of_many_formats_they_are_as_few_tasks_as_stay_small(
    make_run: Callable[..., PredictRun], make_job: Callable[..., RasterJob], tmp_path: Path
) -> None:
    options = {
        "vectors": "gpkg,geojson,fgb,shp",
        "confidence": True,
        "probabilities": True,
        "min_area": "4px",
        "clean_raster": True,
    }
    run = make_run(**options)
    job = make_job(run)
    _, wanted = tell(run, job)
    (tmp_path / "out").rename(tmp_path / "expected")
    listening, found = tell(make_run(workers=2, **options), job)
    assert max(listening.bytes) <= 2048
    assert listening.names[0] == "predict_block"
    assert 2 <= listening.names.count("make_files") == len(listening.names) - 1 <= 4
    assert found.counts.tolist() == wanted.counts.tolist()
    assert differences(outcome(tmp_path / "out"), outcome(tmp_path / "expected")) == []


def test_the_first_error_ends_them_and_so_does_the_end_of_the_run() -> None:
    done: list[int] = []

    def work(_: object, number: int) -> int:
        if number == 2:
            raise OutputError("the disk is full")
        done.append(number)
        return number * 10

    def process(left: int = 9) -> Any:
        return SimpleNamespace(stopped=lambda: len(done) >= left)

    tasks = [Task(work, (number,)) for number in range(4)]
    sheet: Any = None
    assert make_files(process(), sheet, tasks[:2]) == [0, 10]
    with pytest.raises(OutputError, match="full"):
        make_files(process(), sheet, tasks)
    assert done == [0, 1, 0, 1]
    with pytest.raises(KeyboardInterrupt):
        make_files(process(left=5), sheet, tasks)
    assert done == [0, 1, 0, 1, 0]


def seconds(_: object, number: float) -> float:
    return number


def told(story: Any) -> Any:
    """What a story returns whose tasks are run here."""
    process = SimpleNamespace(stopped=lambda: False)
    results = None
    try:
        while True:
            stage = story.send(results)
            results = [task.function(process, *task.arguments) for task in stage.tasks]
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("together", [False, True])
def test_results_are_those_of_the_last_stage_and_seconds_those_of_all_before(
    together: bool,
) -> None:
    stages = [[Task(seconds, (float(n),)) for n in numbers] for numbers in ((1, 2), (3,), (4, 5))]
    sheet: Any = None
    took: list[float | None] = []
    story = tell_together(sheet, stages, took) if together else tell_apart(stages, took)
    assert (told(story), took) == ([4.0, 5.0], [1.0, 2.0, 3.0])
