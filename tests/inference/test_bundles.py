"""Of many small rasters, several are made whole by one task of a worker."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import DiskError, SchedulerLostError, SourceError
from geoseg.inference import bundles
from geoseg.inference.bundles import make_rasters, stories_of
from geoseg.inference.run import PredictRun
from geoseg.inference.run_facts import RunFacts
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.stories import Future, Lane, Slots, Stage, Story, Task, tell_stories
from geoseg.inference.survey import RasterJob, Survey, survey_raster
from geoseg.progress import Progress
from tests.chaos.outcome import differences, outcome

MakeRun = Callable[..., PredictRun]
MakeJob = Callable[..., RasterJob]
COUNT = 10
"""Rasters: of two workers, a task makes two of them."""


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_BUNDLES_A_PROCESS", 2)


class Listening:
    """Slots of this process that keep what they were given."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.tasks: list[Task] = []
        self.capacity, self.check = slots.capacity, slots.check

    def submit(self, lane: Lane, task: Task) -> Future:
        self.tasks.append(task)
        return self._slots.submit(lane, task)

    @property
    def names(self) -> list[str]:
        return [task.function.__name__ for task in self.tasks]


class Heard(Progress):
    """What a run notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


class Told:
    """Takes the place of a report, and tells rasters alone."""

    def __init__(self, run: PredictRun) -> None:
        self._run = run
        self.done: dict[str, RasterResult] = {}
        self.alone: list[str] = []
        self.failed: dict[str, str] = {}
        self.interrupted: list[str] = []
        self.progress = Heard()

    def finish(self, survey: Survey, result: RasterResult) -> None:
        self.done[survey.job.source.path.stem] = result

    def interrupt(self, job: RasterJob) -> None:
        self.interrupted.append(job.source.path.stem)

    def tell(self, survey: Survey) -> Story:
        name = survey.job.source.path.stem
        self.alone.append(name)
        result = RasterResult()
        try:
            yield from tell_raster(self._run.facts, survey, self.progress, result)
            self.finish(survey, result)
        except SourceError as error:
            self.failed[name] = str(error)

    def stories(self, surveys: Sequence[Survey]) -> Any:
        report: Any = self
        return stories_of(surveys, self._run, report, self.progress, self.tell)


def predict(run: PredictRun, surveys: Sequence[Survey]) -> tuple[Listening, Told, list[int]]:
    """Make all, as by the workers that `run` may have, but in this process; windows as told."""
    told, windows = Told(run), list[int]()
    with run.open_slots(windows.append, workers=False) as slots:
        listening = Listening(slots)
        tell_stories(told.stories(surveys), listening)
    return listening, told, windows


@pytest.fixture
def make_surveys(make_job: MakeJob) -> Callable[..., list[Survey]]:
    jobs: list[RasterJob] = []

    def make(run: PredictRun, count: int = COUNT, **raster: Any) -> list[Survey]:
        chosen = {"height": 12, "width": 14, **raster}
        if not jobs:
            jobs.extend(make_job(run, f"{n:02d}.tif", seed=n, **chosen) for n in range(count))
        return [survey_raster(run, job) for job in jobs]

    return make


@pytest.mark.parametrize(
    "options", [{}, {"vectors": "none", "preview": False}, {"min_area": "4px", "confidence": True}]
)
def test_they_are_the_same_files_by_fewer_and_small_tasks(
    make_run: MakeRun,
    make_surveys: Callable[..., list[Survey]],
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    run = make_run(**options)
    _, alone, windows = predict(run, make_surveys(run))
    assert (alone.alone, len(alone.done)) == (sorted(alone.done), COUNT)
    (tmp_path / "out").rename(tmp_path / "expected")
    together = make_run(workers=2, **options)
    listening, told, passed = predict(together, make_surveys(together))
    assert listening.names == ["make_rasters"] * (COUNT // 2)
    assert max(len(pickle.dumps(task)) for task in listening.tasks) <= 2048
    assert differences(outcome(tmp_path / "out"), outcome(tmp_path / "expected")) == []
    assert (told.alone, told.interrupted, sum(passed)) == ([], [], sum(windows))
    for name, result in told.done.items():
        other = alone.done[name]
        assert result.counts.tolist() == other.counts.tolist()
        assert (result.forwards, len(result.areas)) == (other.forwards, len(other.areas))
        assert result.seconds.keys() == other.seconds.keys()


def test_what_fails_is_told_alone_and_the_others_are_done(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]]
) -> None:
    run = make_run(workers=2, vectors="none", preview=False)
    surveys = make_surveys(run)
    surveys[5].job.source.path.write_bytes(b"torn")
    listening, told, passed = predict(run, surveys)
    assert (told.alone, list(told.failed)) == (["05"], ["05"])
    assert "05.tif" in told.failed["05"]
    assert len(told.done) == COUNT - 1
    assert listening.names.count("make_rasters") == COUNT // 2
    assert sum(passed) == COUNT - 1


def test_whatever_one_raises_in_a_worker_is_tried_again_alone(
    make_run: MakeRun,
    make_surveys: Callable[..., list[Survey]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = bundles.tell_raster

    def telling(facts: RunFacts, survey: Survey, *rest: Any) -> Story:
        if survey.job.source.path.stem == "05":
            raise TypeError("nobody expects it")
        return plain(facts, survey, *rest)

    monkeypatch.setattr(bundles, "tell_raster", telling)
    run = make_run(workers=2, vectors="none", preview=False)
    _, told, passed = predict(run, make_surveys(run))
    assert (told.alone, told.failed, len(told.done)) == (["05"], {}, COUNT)
    assert sum(passed) == sum(result.forwards for result in told.done.values())


def test_lines_of_workers_are_noted(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]]
) -> None:
    run = make_run(workers=2, vectors="none", preview=False)
    surveys = make_surveys(run)
    stale = run.work / f"03-{'0' * 16}"
    stale.mkdir(parents=True)
    _, told, _ = predict(run, surveys)
    assert len(told.done) == COUNT
    assert [line for line in told.progress.lines if str(stale) in line] == told.progress.lines


def first_stage(stories: Any) -> tuple[Story, Stage]:
    story = next(stories)
    return story, next(story)


@pytest.mark.parametrize("error", [SourceError("3 workers died"), TypeError("unknown")])
def test_rasters_whose_workers_died_together_are_told_alone(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]], error: Exception
) -> None:
    run = make_run(workers=2)
    told = Told(run)
    story, _ = first_stage(told.stories(make_surveys(run)))
    stage = story.throw(error)
    assert [task.function.__name__ for task in stage.tasks] == ["predict_block"]
    story.close()
    assert (told.alone, told.interrupted) == (["00"], ["01"])


@pytest.mark.parametrize("error", [SchedulerLostError("gone"), DiskError("full"), None])
def test_what_is_under_way_when_the_run_ends_is_interrupted(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]], error: Exception | None
) -> None:
    run = make_run(workers=2)
    told = Told(run)
    story, _ = first_stage(told.stories(make_surveys(run)))
    if error is None:
        story.close()
    else:
        with pytest.raises(type(error)):
            story.throw(error)
    assert (told.alone, told.interrupted) == ([], ["00", "01"])


def test_a_run_that_has_ended_is_not_gone_on_with(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]]
) -> None:
    run = make_run(workers=2)
    surveys = make_surveys(run, 2)
    with run.open_slots(lambda _: None, workers=False) as slots:
        here = replace(slots._process, stopped=lambda: True)  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            make_rasters(here, bundles._pack((replace(run.facts, processes=0), surveys)))
    assert not list(run.out.glob("*_classes.tif"))


def names_of(stories: Any) -> list[str]:
    """The function of each story's first task; none is run."""
    names = []
    for story in stories:
        stage = next(story)
        names += [task.function.__name__ for task in stage.tasks]
        story.close()
    return names


def test_few_and_large_rasters_are_told_alone(
    make_run: MakeRun,
    make_surveys: Callable[..., list[Survey]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(workers=2, vectors="none")
    surveys = make_surveys(run)
    tell = Told(run).stories
    assert names_of(tell(surveys)) == ["make_rasters"] * (COUNT // 2)
    assert names_of(tell(surveys[:7])) == ["predict_block"] * 7
    in_process = make_run(vectors="none")
    assert names_of(Told(in_process).stories(surveys)) == ["predict_block"] * COUNT
    monkeypatch.setattr(bundles, "MOST_PIXELS", 12 * 14)
    assert names_of(tell(surveys)) == ["make_rasters"] * COUNT
    monkeypatch.setattr(bundles, "MOST_PIXELS", 12 * 14 - 1)
    assert names_of(tell(surveys)) == ["predict_block"] * COUNT


def test_rasters_of_several_blocks_and_workers_beside_gpus_are_told_alone(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(workers=2, vectors="none", block=8, encode="window")
    surveys = make_surveys(run, height=40)
    assert len(surveys[0].blocks) > 1
    assert "make_rasters" not in names_of(Told(run).stories(surveys))


def test_what_no_small_task_can_name_is_told_alone(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(workers=2, vectors="none")
    monkeypatch.setattr(bundles, "MOST_BYTES", 100)
    assert names_of(Told(run).stories(make_surveys(run))) == ["predict_block"] * COUNT


def test_a_task_grows_no_larger_than_it_may(
    make_run: MakeRun, make_surveys: Callable[..., list[Survey]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "_BUNDLES_A_PROCESS", 1)
    monkeypatch.setattr(bundles, "_MOST_RASTERS", COUNT)
    run = make_run(workers=1, vectors="gpkg,geojson,fgb,shp", confidence=True, probabilities=True)
    surveys = make_surveys(run)
    listening, told, _ = predict(run, surveys)
    assert len(told.done) == COUNT
    assert max(len(pickle.dumps(task)) for task in listening.tasks) <= 2048
    assert 2 <= len(listening.tasks) < COUNT
