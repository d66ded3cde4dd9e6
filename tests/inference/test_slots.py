"""Places in this process: one for the network, others beside it, none that outlives the run."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from geoseg.classes import ClassScheme
from geoseg.inference.engine import Process
from geoseg.inference.slots import ThreadSlots
from geoseg.inference.stories import Task


@pytest.fixture
def process() -> Process:
    predictor: Any = object()
    return Process(predictor, ClassScheme.from_names(["a"]), 1, lambda _: None)


def test_one_thread_runs_the_network_and_others_make_files(process: Process) -> None:
    def who(_: Process) -> str:
        return threading.current_thread().name

    with ThreadSlots(process, 2) as slots:
        lanes = [slots.submit("forward", Task(who, ())).result() for _ in range(5)]
        files = slots.submit("files", Task(who, ())).result()
        assert set(lanes) == {"geoseg-forward_0"}
        assert files.startswith("geoseg-files")
        assert (slots.capacity("forward"), slots.capacity("files")) == (2, 3)


def test_tasks_of_both_kinds_run_at_once(process: Process) -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meet(_: Process) -> int:
        return barrier.wait()

    with ThreadSlots(process, 2) as slots:
        lanes = ("forward", "files", "files")
        met = [slots.submit(lane, Task(meet, ())) for lane in lanes]
        assert {future.result() for future in met} == {0, 1, 2}


def test_leaving_stops_what_runs_and_drops_what_waits(process: Process) -> None:
    begun, seen = threading.Event(), []

    def run(here: Process) -> None:
        assert not here.stopped()
        begun.set()
        while not here.stopped():
            pass
        seen.append("stopped")

    with ThreadSlots(process, 1) as slots:
        slots.submit("forward", Task(run, ()))
        begun.wait()
        waiting = slots.submit("forward", Task(seen.append, ("never",)))
    assert seen == ["stopped"]
    assert waiting.cancelled()
    assert not any(each.name.startswith("geoseg-f") for each in threading.enumerate())


def test_one_thread_does_all_where_nothing_is_to_run_beside_the_network(process: Process) -> None:
    def who(_: Process) -> str:
        return threading.current_thread().name

    with ThreadSlots(process, 5, beside=False) as slots:
        seen = {slots.submit(lane, Task(who, ())).result() for lane in ("forward", "files")}
        assert seen == {"geoseg-forward_0"}
        assert slots.capacity("files") == 2
