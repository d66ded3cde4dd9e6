"""A task on its way: what it is called, and how it ends when workers die of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from geoseg.errors import SourceError
from geoseg.inference.engine import make_raster, measure, predict_block
from geoseg.inference.flight import Flight
from geoseg.inference.small_rasters import in_turn
from geoseg.inference.stories import Lane, Task

SHEET: Any = SimpleNamespace(folder=SimpleNamespace(source=SimpleNamespace(path="ortho/a.tif")))


@pytest.mark.parametrize(
    ("lane", "task", "subject"),
    [
        ("forward", Task(predict_block, (SHEET, 7, None, b"")), "ortho/a.tif: block 7"),
        ("files", Task(make_raster, (SHEET, None, None)), "ortho/a.tif: its files (make_raster)"),
        (
            "files",
            in_turn(SHEET, [Task(make_raster, (SHEET,))]),
            "ortho/a.tif: its files (make_files)",
        ),
        (
            "forward",
            Task(measure, (SHEET.folder.source, None)),
            "ortho/a.tif: its first window",
        ),
        ("forward", Task(measure, (object(), 512)), "measure"),
        ("files", Task(measure, ()), "measure"),
    ],
)
def test_a_task_is_named_by_its_raster_and_block(lane: Lane, task: Task, subject: str) -> None:
    assert Flight(lane, task).subject == subject


def test_what_workers_died_of_fails_with_the_first_three_and_what_to_do() -> None:
    workers = [f"tcp://w:{number}" for number in range(5)]
    flight = Flight("forward", Task(predict_block, (SHEET, 7, None, b"")), begun=workers)
    flight.give_up()
    with pytest.raises(SourceError) as failed:
        flight.done.result(timeout=0)
    line = str(failed.value)
    assert line.startswith("ortho/a.tif: block 7: 3 workers died while they ran it (tcp://w:0, ")
    assert "tcp://w:2)" in line
    assert "tcp://w:3" not in line
    assert "a smaller --window, --batch or fewer processes" in line
    files = Flight("files", Task(make_raster, (SHEET, None, None)), begun=workers)
    files.give_up()
    with pytest.raises(SourceError, match=r"its files .*, which fewer processes save; the same co"):
        files.done.result(timeout=0)


def test_flights_share_nothing() -> None:
    one, other = (Flight("files", Task(measure, ())) for _ in range(2))
    one.begun.append("tcp://w:1")
    one.done.set_result(1)
    fresh: tuple[Any, ...] = (other.begun, other.only, other.passed, other.answer)
    assert fresh == ([], [], 0, None)
    assert not other.done.done()
