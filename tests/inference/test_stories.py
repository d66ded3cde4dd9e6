"""Stories of tasks: each task once, results in order, few in flight, one failure alone."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import RunError
from geoseg.inference import stories
from geoseg.inference.stories import Lane, Stage, Story, Task, tell_stories


class RandomSlots:
    """Ends tasks in any order, in a thread of its own."""

    def __init__(self, capacity: dict[Lane, int], seed: int) -> None:
        self._capacity = capacity
        self._random = random.Random(seed)
        self._waiting: list[tuple[Lane, Task, Future[Any]]] = []
        self._lock = threading.Condition()
        self.in_flight: Counter[Lane] = Counter()
        self.most: Counter[Lane] = Counter()
        threading.Thread(target=self._run, daemon=True).start()

    def capacity(self, lane: Lane) -> int:
        return self._capacity[lane]

    def submit(self, lane: Lane, task: Task) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            self.in_flight[lane] += 1
            self.most[lane] = max(self.most[lane], self.in_flight[lane])
            self._waiting.append((lane, task, future))
            self._lock.notify()
        return future

    def check(self) -> None:
        raise AssertionError("waited for a second")

    def close(self) -> None:
        with self._lock:
            self._waiting.append(("files", Task(lambda _: None, ()), Future()))
            self._waiting[-1][2].cancel()
            self._lock.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._waiting:
                    self._lock.wait()
                place = self._random.randrange(len(self._waiting))
                lane, task, future = self._waiting.pop(place)
                self.in_flight[lane] -= 1
            if future.cancelled():
                return
            try:
                result = task.function(None, *task.arguments)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)


STAGES = st.lists(
    st.tuples(st.sampled_from(["forward", "files"]), st.integers(0, 5)), min_size=0, max_size=4
)


@settings(max_examples=100, deadline=None)
@given(
    plots=st.lists(STAGES, max_size=8),
    forward=st.integers(1, 4),
    files=st.integers(1, 3),
    seed=st.integers(0, 1000),
    broken=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 3), st.integers(0, 4))),
)
def test_every_task_is_run_once_and_its_story_hears_of_it_in_order(
    plots: list[Any], forward: int, files: int, seed: int, broken: set[tuple[int, int, int]]
) -> None:
    slots = RandomSlots({"forward": forward, "files": files}, seed)
    run: Counter[tuple[int, int, int]] = Counter()
    ended: dict[int, str] = {}

    def task(_: Any, *place: int) -> tuple[int, ...]:
        run[place] += 1
        if place in broken:
            raise ValueError(str(place))
        return place

    def story(number: int, plot: list[tuple[Lane, int]]) -> Story:
        try:
            for stage, (lane, count) in enumerate(plot):
                places = [(number, stage, index) for index in range(count)]
                results = yield Stage(lane, (Task(task, place) for place in places))
                assert results == places
            ended[number] = "whole"
        except ValueError:
            ended[number] = "failed"

    tell_stories((story(*each) for each in enumerate(plots)), slots)
    slots.close()
    assert set(run.values()) <= {1}
    for number, plot in enumerate(plots):
        faults = [
            stage
            for stage, (_, count) in enumerate(plot)
            if any((number, stage, index) in broken for index in range(count))
        ]
        assert ended[number] == ("failed" if faults else "whole")
        last = faults[0] if faults else len(plot)
        whole = {(number, stage, i) for stage in range(last) for i in range(plot[stage][1])}
        assert whole <= set(run), "all before the failure ran"
        assert not any(place[0] == number and place[1] > last for place in run)
    assert slots.most["forward"] <= forward
    assert slots.most["files"] <= files


def test_stories_and_tasks_are_made_when_there_is_room_for_them() -> None:
    slots = RandomSlots({"forward": 3, "files": 2}, 0)
    begun, made, done = [0], [0], [0]

    def forward(_: Any) -> None:
        done[0] += 1
        assert made[0] - done[0] <= 3 + 2, "those in flight, and one that a story looks ahead"

    def tasks() -> Any:
        for _ in range(10):
            made[0] += 1
            yield Task(forward, ())

    def story() -> Story:
        begun[0] += 1
        assert 10 * (begun[0] - 1) - done[0] <= 3 + 10
        yield Stage("forward", tasks())

    tell_stories((story() for _ in range(100)), slots)
    slots.close()
    assert done == [1000]


def test_no_story_is_begun_behind_files_that_are_slower_than_the_network() -> None:
    slots = RandomSlots({"forward": 2, "files": 2}, 0)
    open_stories: set[int] = set()
    most = [0]

    def story(number: int) -> Story:
        open_stories.add(number)
        most[0] = max(most[0], len(open_stories))
        yield Stage("forward", [Task(lambda _: None, ())])
        yield Stage("files", [Task(lambda _: time.sleep(0.003), ())])
        open_stories.remove(number)

    tell_stories(map(story, range(50)), slots)
    slots.close()
    assert 2 + 2 < most[0] <= 2 + 2 * 2


def test_the_end_of_one_story_runs_beside_the_start_of_the_next() -> None:
    """The files of the first wait until the network runs for the second."""
    started = threading.Event()
    slots = RandomSlots({"forward": 1, "files": 1}, 0)
    pool = Threads(slots)

    def story(number: int) -> Story:
        yield Stage("forward", [Task(lambda _: started.set() if number else None, ())])
        if number == 0:
            yield Stage("files", [Task(lambda _: started.wait(10), ())])

    tell_stories(map(story, range(2)), pool)
    slots.close()
    assert started.is_set()


class Threads:
    """A thread a task."""

    def __init__(self, slots: RandomSlots) -> None:
        self.capacity = slots.capacity

    def submit(self, _: Lane, task: Task) -> Future[Any]:
        future: Future[Any] = Future()
        call: Callable[[], None] = lambda: future.set_result(task.function(None, *task.arguments))  # noqa: E731
        threading.Thread(target=call).start()
        return future

    def check(self) -> None:
        pass


def test_a_story_that_raises_ends_all_and_closes_those_that_are_told() -> None:
    slots = RandomSlots({"forward": 4, "files": 1}, 0)
    begun, closed, ended = [], [], []

    def story(number: int) -> Story:
        begun.append(number)
        try:
            yield Stage("forward", [Task(lambda _: None, ())] * (3 if number else 1))
        except GeneratorExit:
            closed.append(number)
            raise
        if number == 0:
            raise OSError("the disk is full")
        ended.append(number)

    with pytest.raises(OSError, match="the disk is full"):
        tell_stories(map(story, range(50)), slots)
    slots.close()
    assert sorted([0, *closed, *ended]) == begun
    assert len(begun) < 50


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_is_no_failure_of_a_task_ends_all(stop: type[BaseException]) -> None:
    slots = RandomSlots({"forward": 1, "files": 1}, 0)

    def interrupted(_: Any) -> None:
        raise stop

    def story() -> Story:
        yield Stage("forward", [Task(interrupted, ())])

    with pytest.raises(stop):
        tell_stories(iter([story()]), slots)
    slots.close()


@pytest.mark.parametrize("lost", ["the cluster", "the lock"])
def test_who_waits_long_looks_whether_cluster_and_lock_are_there(
    monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(stories, "_WAIT_SECONDS", 0.001)

    def look(name: str) -> None:
        if name == lost:
            raise RunError(f"{name} is gone")

    slots: Any = SimpleNamespace(
        capacity=lambda _: 1, submit=lambda *_: Future(), check=lambda: look("the cluster")
    )
    story = (Stage("forward", [each]) for each in [Task(lambda _: None, ())])
    with pytest.raises(RunError, match=f"{lost} is gone"):
        tell_stories([story], slots, lambda: look("the lock"))


def test_of_the_errors_of_a_stage_its_story_hears_the_first() -> None:
    def failed(_: Lane, task: Task) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(OSError(*task.arguments))
        return future

    heard: list[str] = []

    def story() -> Story:
        with pytest.raises(OSError, match=r"^first$"):
            yield Stage("files", [Task(failed, (text,)) for text in ("first", "second", "third")])
        heard.append("the first")

    slots: Any = SimpleNamespace(capacity=lambda _: 2, submit=failed, check=None)
    tell_stories([story()], slots)
    assert heard == ["the first"]


def test_a_task_queues_where_it_says_else_where_its_stage_does() -> None:
    lanes: list[Lane] = []

    def submit(lane: Lane, _: Task) -> Future[Any]:
        lanes.append(lane)
        future: Future[Any] = Future()
        future.set_result(None)
        return future

    def story() -> Story:
        yield Stage("files", [Task(print, (), "forward"), Task(print, ())])

    tell_stories([story()], SimpleNamespace(capacity=lambda _: 1, submit=submit, check=print))
    assert lanes == ["forward", "files"]
