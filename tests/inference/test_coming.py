"""Files are begun while the network runs: the same ones, and nothing waits for what never comes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import torch

from geoseg.errors import OutputError, SourceError
from geoseg.inference import engine, polygons, stream
from geoseg.inference.coming import Coming
from geoseg.inference.run import PredictRun
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.slots import ThreadSlots
from geoseg.inference.stories import tell_stories
from geoseg.inference.survey import RasterJob, survey_raster
from geoseg.progress import Progress
from geoseg.tiling import Window

MakeRun = Callable[..., PredictRun]
MakeJob = Callable[..., RasterJob]
WINDOWS = 35
LONG = 30.0


@pytest.fixture(autouse=True)
def two_threads_for_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(PredictRun, "file_threads", 2)
    yield
    torch.set_num_threads(before)


class After(Progress):
    """Does something after so many windows."""

    def __init__(self, windows: int, do: Callable[[], Any]) -> None:
        self._left, self._do = windows, do

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left == 0:
            self._do()


def tell(
    run: PredictRun, job: RasterJob, progress: Progress | None = None, *, beside: bool = True
) -> RasterResult:
    progress, result = progress or Progress(), RasterResult()
    survey = survey_raster(run, job)
    with run.open_slots(progress.advance, workers=False) as slots:
        assert isinstance(slots, ThreadSlots)
        tell_stories([tell_raster(run.facts, survey, progress, result, beside=beside)], slots)
    return result


def made(run: PredictRun) -> dict[str, Any]:
    """All that is in the files of a run, which are removed."""
    found: dict[str, Any] = {}
    for path in sorted(run.out.glob("scene*")):
        if path.suffix == ".gpkg":
            _, _, geometry, fields = pyogrio.raw.read(path, layer=path.stem)
            found[path.name] = (geometry.tolist(), [each.tolist() for each in fields])
        else:
            found[path.name] = path.read_bytes()
        path.unlink()
    return found


def test_early_parts_are_made_into_files_before_the_last_window_runs(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, seen = threading.Event(), []
    polygonize = polygons.polygonize_part

    def told(*arguments: Any) -> Any:
        regions = polygonize(*arguments)
        drawn.set()
        return regions

    monkeypatch.setattr(polygons, "polygonize_part", told)
    run = make_run()
    wait = After(WINDOWS - 1, lambda: seen.append(drawn.wait(LONG)))
    result = tell(run, make_job(run), wait)
    assert seen == [True]
    assert result.forwards == WINDOWS
    seconds = result.seconds
    assert seconds["polygons"] < seconds["total"], "nobody counts how long it waits"
    assert seconds["predict"] + seconds["files"] <= seconds["total"]


@pytest.mark.parametrize(
    "options", [{}, {"block": 40}, {"probabilities": True, "confidence": True}]
)
def test_the_files_are_those_that_are_made_when_all_parts_are_there(
    make_run: MakeRun, make_job: MakeJob, options: dict[str, Any]
) -> None:
    run = make_run(**options)
    job = make_job(run)
    tell(run, job, beside=False)
    files = made(run)
    assert len(files) > 3
    tell(run, job)
    assert made(run) == files


def test_a_run_that_was_interrupted_beside_its_files_continues(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run()
    job = make_job(run)
    tell(run, job, beside=False)
    files = made(run)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(run, job, After(20, interrupt))
    assert not made(run), "no file has its name before the last part is there"
    result = tell(run, job)
    assert 0 < result.forwards < WINDOWS
    assert made(run) == files


def test_a_block_that_fails_ends_those_that_wait_for_it(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise SourceError("the disk is gone")

    run = make_run()
    job = make_job(run)
    with pytest.raises(SourceError, match="the disk is gone"):
        tell(run, job, After(20, lambda: monkeypatch.setattr(stream._Stream, "_scores", fail)))
    assert not made(run)


def test_a_file_that_fails_while_others_wait_ends_the_raster_with_its_error(
    make_run: MakeRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def fail(*_: Any) -> None:
        failed.set()
        raise OutputError("the disk is full")

    monkeypatch.setattr(engine, "write_raster", fail)
    run = make_run()
    with pytest.raises(OutputError, match="the disk is full"):
        tell(run, make_job(run), After(1, lambda: failed.wait(LONG)))
    assert failed.is_set()
    assert not made(run)


def test_files_of_a_source_that_is_replaced_at_its_last_window_get_no_name(
    make_run: MakeRun, make_job: MakeJob, make_raster: Callable[..., Path]
) -> None:
    run = make_run()
    job = make_job(run, seed=1)
    other = make_raster("other.tif", seed=2)
    with pytest.raises(SourceError, match=r"scene\.tif: changed while it was predicted"):
        tell(run, job, After(WINDOWS, lambda: os.replace(other, job.source.path)))
    assert not made(run)
    assert not survey_raster(run, job).folder.path.exists()


def test_what_fails_before_the_last_part_counts_keeps_it_from_counting() -> None:
    def refuse() -> None:
        raise SourceError("changed")

    class Bands:
        def band(self, row: int) -> Window:
            return Window(row, 0, 1, 1)

    blocks: Any = [Bands()]
    coming = Coming(blocks, [[0, 1]], refuse)
    coming.came(Window(0, 0, 1, 1))
    coming.wait(Window(0, 0, 1, 1))
    with pytest.raises(SourceError, match="changed"):
        coming.came(Window(1, 0, 1, 1))
    coming.end(SourceError("changed"))
    coming.end(OutputError("later"))
    with pytest.raises(SourceError, match="changed"):
        coming.wait(Window(1, 0, 1, 1))
    coming.wait(Window(9, 9, 1, 1))
