"""What `ClusterSlots` makes of each thing that Dask may say of a task, without a cluster."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import CancelledError, KilledWorker

from geoseg.errors import RunError, SchedulerLostError, SourceError
from geoseg.inference import cluster_slots
from geoseg.inference.cluster_slots import ClusterSlots
from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.stories import Task
from geoseg.inference.worker import RefusedWorkerError, RemoteRun, stop, topic_of

RUN = RemoteRun("a run", Path("model.safetensors"), ForwardOptions(), 1, threads=1)
LONG_AGO = -1000.0


class Try:
    """A future of Dask's."""

    def __init__(self, how: dict[str, Any]) -> None:
        self.how, self.key = how, how["key"]
        self.status = "pending"
        self._ended: list[Callable[[Any], None]] = []
        self._outcome: Any = None

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        self._ended.append(call)

    def result(self, timeout: float) -> Any:
        assert timeout > 0
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def end(self, outcome: Any) -> None:
        self.status = "error" if isinstance(outcome, BaseException) else "finished"
        self._outcome = outcome
        for call in self._ended:
            call(self)


class Client:
    """A client of Dask's, of these workers."""

    def __init__(self, *workers: str, gpus: str = "") -> None:
        self.status = "running"
        self.workers = {
            each: {"last_seen": 0.0, "resources": {"GPU": 1} if each in gpus else {}}
            for each in workers
        }
        self.tries: list[Try] = []
        self.holds: dict[str, list[str]] = {}
        self.cancelled: list[Any] = []
        self.told: list[Any] = []
        self.heard: dict[str, Callable[[Any], None]] = {}
        self.subscribed = 0

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": self.workers} if n_workers == -1 else {}

    def submit(self, function: Any, call: bytes, **how: Any) -> Try:
        assert function is cluster_slots.pickle.loads
        assert isinstance(call, bytes)
        self.tries.append(Try(how))
        return self.tries[-1]

    def subscribe_topic(self, topic: str, handler: Callable[[Any], None]) -> None:
        self.heard[topic] = handler
        self.subscribed += 1

    def unsubscribe_topic(self, topic: str) -> None:
        del self.heard[topic]

    def cancel(self, futures: list[Any], force: bool) -> None:
        assert futures
        self.cancelled += futures if force else []

    def processing(self, workers: list[str]) -> dict[str, list[str]]:
        return {each: self.holds.get(each, []) for each in workers}

    def run(self, function: Any, names: list[str], workers: list[str], on_error: str) -> None:
        assert (function, on_error) == (stop, "ignore")
        time.sleep(0.01)
        self.told.append((names, workers))

    def say(self, kind: str, key: str, value: Any) -> None:
        """Something that a worker says of a task."""
        self.heard[topic_of(RUN)]((0.0, (kind, key, value)))


def work(_: Process) -> None:
    """A task, which never runs here."""


TASK = Task(work, ())


def killed(address: str) -> KilledWorker:
    return KilledWorker("a task", SimpleNamespace(address=address), 3)


def slots_of(client: Client, run: RemoteRun = RUN, **calls: Any) -> ClusterSlots:
    calls = {"on_window": lambda _: None, **calls}
    return ClusterSlots(client, run, **calls)


def test_tasks_for_the_network_come_behind_files_and_go_to_gpus_where_any_are_declared() -> None:
    client = Client("a", "b", gpus="b")
    slots = slots_of(client)
    slots.submit("forward", TASK)
    slots.submit("files", TASK)
    forward, files = (each.how for each in client.tries)
    assert forward["priority"] < files["priority"], "Dask runs the highest first"
    assert forward["key"].startswith("work-")
    assert forward["key"] != files["key"]
    assert [each["resources"] for each in (forward, files)] == [None, None]
    assert (forward["workers"], slots.capacity("forward"), slots.capacity("files")) == (None, 4, 2)
    on_gpus = slots_of(client, RemoteRun(**{**fields(RUN), "on_gpus": True}))
    on_gpus.submit("forward", TASK)
    on_gpus.submit("files", TASK)
    assert [each.how["resources"] for each in client.tries[2:]] == [{"GPU": 1}, None]
    assert (on_gpus.capacity("forward"), on_gpus.capacity("files")) == (2, 2)


def fields(run: RemoteRun) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__dataclass_fields__}


def test_a_task_waits_for_workers_where_there_are_none_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client("a")
    slots = slots_of(client)
    client.workers.clear()
    slots.check()
    assert (slots.capacity("forward"), slots.capacity("files")) == (2, 1)
    monkeypatch.setattr(cluster_slots, "WORKERLESS_SECONDS", LONG_AGO)
    with pytest.raises(SchedulerLostError, match="no worker for"):
        slots.check()


def test_time_without_workers_is_counted_from_the_last_that_was_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(cluster_slots.time, "monotonic", lambda: clock.now)
    client = Client("a")
    slots = slots_of(client)
    clock.now = 1000.0
    slots.check()
    client.workers.clear()
    clock.now = 1299.0
    slots.check()
    clock.now = 1301.0
    with pytest.raises(SchedulerLostError, match="no worker for 300 s"):
        slots.capacity("forward")


def test_a_result_that_was_told_is_that_of_the_latest_try() -> None:
    client, passed = Client("a"), list[int]()
    slots = slots_of(client, on_window=passed.append)
    future = slots.submit("forward", TASK)
    first = client.tries[0]
    client.say("passed", first.key, 3)
    client.say("passed", first.key, 3)
    client.say("ended", first.key, pickle.dumps(("of the first", 4)))
    first.end(TimeoutError())
    second = client.tries[1]
    client.say("passed", first.key, 9)
    client.say("passed", second.key, 2)
    client.say("passed", second.key, 4)
    second.end(("of the second", 6))
    assert future.result(0) == "of the second"
    assert passed == [3, 1, 2], "each window once, whatever tries there were"
    told = slots.submit("forward", TASK)
    client.say("ended", client.tries[2].key, pickle.dumps(("told", 0)))
    client.tries[2].end(("fetched", 0))
    assert told.result(0) == "told"


def test_what_a_dead_worker_had_is_tried_until_three_have_died() -> None:
    client = Client("a")
    future = slots_of(client).submit("forward", TASK)
    client.tries[0].end(TimeoutError())  # nobody died
    for number, address in enumerate(("a", "b", "c"), 1):
        assert not future.done()
        client.say("begun", client.tries[number].key, address)
        client.tries[number].end(killed("another"))
    with pytest.raises(SourceError, match=r"work: 3 workers died .*\(a, b, c\)"):
        future.result(0)
    assert len(client.tries) == 4


def test_a_death_that_no_worker_told_of_is_known_from_dask() -> None:
    client = Client("a")
    slots = slots_of(client)
    future = slots.submit("forward", TASK)
    for number in range(3):  # as where the model does not fit into memory
        assert not future.done()
        client.tries[number].end(killed("at one address"))
    assert str(future.exception(0)).count("at one address") == 3
    forgotten = slots.submit("forward", TASK)
    client.tries[3].end(killed("tcp://a"))
    client.tries[4].end(CancelledError())  # by a scheduler that was away: it forgets who died
    for number in (5, 6, 7):
        assert not forgotten.done()
        client.say("begun", client.tries[number].key, f"{number}")
        client.tries[number].end(killed("tcp://b"))
    assert "(5, 6, 7)" in str(forgotten.exception(0))
    assert client.subscribed == 2


def test_what_dask_itself_repeats_too_often_is_given_up() -> None:
    client = Client("a")
    slots = slots_of(client)
    future, other = slots.submit("forward", TASK), slots.submit("forward", TASK)
    for address in "abc":
        client.say("begun", client.tries[0].key, address)
    slots.check()
    assert not future.done(), "the third may still end it"
    client.say("begun", client.tries[0].key, "d")
    slots.check()
    assert isinstance(future.exception(0), SourceError)
    assert client.cancelled == client.tries[:1]
    slots.check()
    assert not other.done()
    client.tries[0].end(("late", 0))  # nobody waits for it


def test_a_refused_worker_is_said_once_counts_for_no_death_and_gets_nothing_more() -> None:
    client, lines = Client("a", "b"), list[str]()
    slots = slots_of(client, note=lines.append)
    future = slots.submit("forward", TASK)
    for number in range(3):
        client.say("begun", client.tries[number].key, "a")
        client.tries[number].end(RefusedWorkerError("a", "is of another kind"))
    assert lines == ["worker a is of another kind; it gets no task"]
    assert [each.how["workers"] for each in client.tries] == [None, ["b"], ["b"], ["b"]]
    slots.check()
    client.tries[3].end(RefusedWorkerError("b", "has no geoseg"))
    with pytest.raises(RunError, match="no worker can take part: a is of another kind; start"):
        slots.check()
    assert not future.done()
    client.workers.clear()
    slots.check()  # others may come


def test_an_error_of_the_task_is_its_own_and_unknown_ones_may_be_of_workers_without_geoseg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flaws: dict[str, str | None] = {"a": None, "b": None}
    asked: list[Any] = []

    def flaws_of(_: Any, addresses: Any) -> dict[str, str | None]:
        asked.append(sorted(addresses))
        return flaws

    monkeypatch.setattr(cluster_slots, "flaws_of", flaws_of)
    client, lines = Client("a", "b", "frozen"), list[str]()
    client.workers["frozen"]["last_seen"] = LONG_AGO
    slots = slots_of(client, note=lines.append)
    own, unknown, sent_again = (slots.submit("forward", TASK) for _ in range(3))
    client.tries[0].end(SourceError("a.tif: no"))
    assert (str(own.exception(0)), asked) == ("a.tif: no", [])
    client.tries[1].end(AttributeError("what"))
    assert isinstance(unknown.exception(0), AttributeError)
    flaws["b"] = "has no geoseg"
    client.tries[2].end(AttributeError("what"))
    assert not sent_again.done()
    assert client.tries[3].how["workers"] == ["a", "frozen"]
    assert asked == [["a", "b"]] * 2
    assert lines == ["worker b has no geoseg; it gets no task"]


def test_a_frozen_workers_tasks_are_taken_back_and_when_it_wakes_it_is_to_stop_them() -> None:
    client, lines = Client("a", "b"), list[str]()
    slots = slots_of(client, note=lines.append)
    future = slots.submit("forward", TASK)
    first = client.tries[0]
    client.holds["a"] = [first.key, "of another client"]
    client.workers["a"]["last_seen"] = LONG_AGO
    for _ in range(2):
        slots.check()
    assert lines == ["worker a is silent; others run what it had"]
    assert client.cancelled == [first]
    second = client.tries[1]
    assert (second.how["workers"], len(client.tries)) == (["b"], 2)
    first.end(("of the frozen one", 0))
    assert not future.done(), "another try has taken its place"
    client.workers["a"]["last_seen"] = 0.0
    for _ in range(2):
        slots.check()
    assert client.told == [([first.key, "of another client"], ["a"])]
    assert slots.capacity("files") == 2, "it takes part again"
    second.end(("of the other", 0))
    assert future.result(0) == "of the other"


def test_a_frozen_worker_that_goes_is_forgotten_and_its_address_may_come_back() -> None:
    client, lines = Client("a", "b"), list[str]()
    slots = slots_of(client, note=lines.append)
    gone = client.workers["a"] | {"last_seen": LONG_AGO}
    client.workers["a"] = gone
    slots.check()
    del client.workers["a"]
    slots.check()
    client.workers["a"] = gone
    slots.check()
    assert (len(lines), client.told) == (2, [])


def test_a_task_whose_only_workers_go_is_sent_to_others_once_there_are_any() -> None:
    client = Client("a", "b")
    slots = slots_of(client)
    slots.submit("forward", TASK)
    client.tries[0].end(RefusedWorkerError("a", "is of another kind"))
    assert client.tries[1].how["workers"] == ["b"]
    del client.workers["b"]
    client.workers["c"] = {"last_seen": LONG_AGO, "resources": {}}
    slots.check()
    assert len(client.tries) == 2, "else one that is refused might get it"
    client.workers["d"] = {"last_seen": 0.0, "resources": {}}
    slots.check()
    assert client.tries[-1].how["workers"] == ["d"]
    assert client.cancelled[-1] is client.tries[1]


def test_at_the_end_what_is_left_is_cancelled_and_workers_are_told_to_stop() -> None:
    client = Client("a", "b", "frozen")
    client.workers["frozen"]["last_seen"] = LONG_AGO
    with slots_of(client) as slots:
        slots.check()
        left = slots.submit("forward", TASK)
        ended = slots.submit("forward", TASK)
        client.tries[1].end((1, 0))
    assert ended.result(0) == 1
    assert client.cancelled == [client.tries[0]]
    assert client.told == [(["a run"], ["a", "b"])]
    assert client.heard == {}
    client.tries[0].end(CancelledError())
    assert (left.done(), len(client.tries)) == (False, 2), "nobody waits for it, nor is it sent"
    with slots_of(client) as slots:
        slots.submit("forward", TASK)
        client.status = "closed"
    assert len(client.cancelled) == 1, "nobody is there to be asked"


def test_a_scheduler_that_is_away_is_awaited_and_then_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client("a")
    slots = slots_of(client)

    def come_back(_: float) -> None:
        client.status = "running"

    client.status = "connecting"
    monkeypatch.setattr(cluster_slots.time, "sleep", come_back)
    future = slots.submit("forward", TASK)
    client.tries[0].end(CancelledError())
    assert (client.status, client.subscribed, len(client.tries)) == ("running", 2, 2)
    client.status = "connecting"
    monkeypatch.setattr(cluster_slots, "RECONNECT_SECONDS", LONG_AGO)
    client.tries[1].end(CancelledError())
    assert isinstance(future.exception(0), SchedulerLostError)
    with pytest.raises(SchedulerLostError):
        slots.check()
