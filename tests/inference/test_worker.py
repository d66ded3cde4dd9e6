"""What a worker process says of itself, which runs it refuses, and what it tells of a task."""

from __future__ import annotations

import os
import pickle
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch

import geoseg
from geoseg.errors import SourceError
from geoseg.foreign import remote_allowed
from geoseg.inference import heartbeat, worker
from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.stories import Task
from geoseg.inference.worker import (
    RefusedWorkerError,
    RemoteCall,
    RemoteRun,
    run_task,
    stop,
    topic_of,
)


class Worker:
    """What is asked of Dask's worker, and what was logged by it."""

    address = "tcp://w:1"

    def __init__(self, **resources: int) -> None:
        self.state = SimpleNamespace(total_resources=resources)
        self.memory_manager = SimpleNamespace(memory_limit=None)
        self.events: list[tuple[Any, ...]] = []

    def get_current_task(self) -> str:
        return "a key"

    def log_event(self, topic: str, event: tuple[Any, ...]) -> None:
        assert topic == "geoseg-a run"
        self.events.append(event)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """This process as a worker, which holds no run."""
    here = Worker()
    monkeypatch.setattr(worker, "get_worker", lambda: here)
    threads = torch.get_num_threads()
    worker.processes.clear()
    yield here
    worker.processes.clear()
    worker._leave.close()
    worker._stopped.clear()
    torch.set_num_threads(threads)


@pytest.fixture
def run(model_file: Path) -> RemoteRun:
    return RemoteRun("a run", model_file, ForwardOptions(), 1, threads=1)


def threads_and_windows(process: Process, counts: list[int], lane: str) -> int:
    with process.forward if lane == "forward" else nullcontext():
        for count in counts:
            process.on_window(count)
    return torch.get_num_threads()


@pytest.mark.parametrize("lane", ["forward", "files"])
def test_a_task_tells_its_begin_its_windows_once_a_second_and_its_end(
    here: Worker, run: RemoteRun, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    clock = iter([0.0, 0.4, 0.9, 1.0, 1.9, 2.1])
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    counts = [1, 2, 4, 8, 16]
    assert run_task(replace(run, threads=2), lane, threads_and_windows, (counts, lane)) == (2, 31)
    begun = [event for event in here.events if event[0] == "begun"]
    assert begun[-1] == ("begun", "a key", "tcp://w:1")
    told = [event for event in here.events if event[0] == "passed"]
    assert told == [("passed", "a key", 7), ("passed", "a key", 31)]
    kind, key, answer = here.events[-1]
    assert (kind, key, pickle.loads(answer)) == ("ended", "a key", (2, 31))


def fail(_: Process, *__: object) -> NoReturn:
    raise SourceError("a.tif: cannot be read")


def until_stopped(process: Process) -> NoReturn:
    assert process.stopped()
    raise KeyboardInterrupt


def test_a_worker_that_cannot_read_a_source_is_refused_with_the_error_of_its_task(
    here: Worker, run: RemoteRun, tmp_path: Path
) -> None:
    """Else it would fail one raster after the other, faster than others run them."""
    seen, unseen = tmp_path / "a.tif", tmp_path / "b.tif"
    seen.touch()

    def task_on(*files: Path) -> Any:
        source = SimpleNamespace(files=files)
        return SimpleNamespace(folder=SimpleNamespace(source=source))

    with pytest.raises(SourceError, match="cannot be read"):
        run_task(run, "files", fail, (task_on(seen),))
    with pytest.raises(RefusedWorkerError) as refused:
        run_task(run, "files", fail, (task_on(seen, unseen),))
    error = pickle.loads(pickle.dumps(refused.value))
    assert error.reason == (f"cannot read {unseen}; give inputs on a path that all workers share")
    assert (error.unread[0], str(error.unread[1])) == (
        unseen,
        "a.tif: cannot be read (on worker tcp://w:1)",
    )


def test_an_error_names_the_worker_and_a_task_that_is_stopped_ends_without_one(
    here: Worker, run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed: list[None] = []
    monkeypatch.setattr(worker, "trim_heap", lambda: trimmed.append(None))
    with pytest.raises(SourceError, match=r"^a\.tif: cannot be read \(on worker tcp://w:1\)$"):
        run_task(run, "files", fail, ())
    for name in ("a run", "a key"):
        stop([name])
        assert run_task(run, "files", until_stopped, ()) == (None, 0)
        worker._stopped.clear()
    assert {event[0] for event in here.events} == {"begun"}
    assert len(trimmed) == 3, "memory goes back to the system after each"


def processes(process: Process) -> int:
    return id(process.predictor)


def state(process: Process) -> tuple[int, bool, int]:
    with process.forward:
        return process.predictor.batch, remote_allowed(), torch.get_num_threads()


def test_the_model_is_loaded_once_for_a_run_with_its_leave_to_go_online(
    here: Worker, run: RemoteRun
) -> None:
    made = worker.processes.made
    loaded = {run_task(run, "files", processes, ())[0] for _ in range(3)}
    assert (len(loaded), remote_allowed()) == (1, False)
    run_task(replace(run, name="a run", allow_remote=True, batch=2), "files", processes, ())
    assert (worker.processes.made - made, remote_allowed()) == (2, True)


@pytest.mark.parametrize(
    ("limit", "loads"),
    [(None, 2), (24 * 2**28, 2), (1024, 6)],
)
def test_clients_that_take_turns_have_their_models_kept_as_far_as_the_workers_limit_goes(
    here: Worker, run: RemoteRun, limit: int | None, loads: int
) -> None:
    """Each with its own leave to go online, and its own number of torch's threads."""
    here.memory_manager.memory_limit = limit
    other = replace(run, batch=2, allow_remote=True, threads=2)
    made = worker.processes.made
    for _ in range(3):
        for each in (run, other):
            found, _ = run_task(each, "forward", state, ())
            assert found == (each.batch, each.allow_remote, each.threads)
    assert worker.processes.made - made == loads


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"geoseg": "0.0.1"}, f"has geoseg {geoseg.__version__}, the client 0.0.1"),
        ({"model": Path("/nowhere/m.safetensors")}, "does not see "),
        ({"kinds": ("another",)}, "is of another kind: torch "),
        ({"forward": ForwardOptions("cuda:99")}, "cannot take part: device 'cuda:99' is not"),
    ],
)
def test_a_worker_that_must_not_run_a_task_says_why(
    here: Worker, run: RemoteRun, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RefusedWorkerError) as refused:
        run_task(replace(run, **change), "files", processes, ())
    assert refused.value.address == here.address
    assert refused.value.reason.startswith(reason)
    again = pickle.loads(pickle.dumps(refused.value))
    assert (again.address, again.reason) == (refused.value.address, refused.value.reason)


def test_a_worker_that_joins_late_and_cannot_write_is_refused(
    here: Worker, run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", denied)
    with pytest.raises(
        RefusedWorkerError, match=r"cannot write into the output folder .*; let its"
    ):
        run_task(run, "files", processes, ())


def lacking(_: Process) -> NoReturn:
    raise ModuleNotFoundError("No module named 'pyogrio'", name="pyogrio")


def test_a_worker_that_lacks_a_library_is_refused_and_others_run_the_task(
    here: Worker, run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = r"^cannot import what a task needs \(No module named 'pyogrio'\); install geoseg anew$"
    for place in ("its task", "its model"):
        with pytest.raises(RefusedWorkerError) as refused:
            run_task(run, "files", lacking, ())
        assert re.search(reason, refused.value.reason), place
        assert refused.value.address == here.address
        worker.processes.clear()
        monkeypatch.setattr(worker, "load_model", lacking)


def device_of(process: Process) -> tuple[str, str]:
    return process.predictor.options.device, process.predictor.options.precision


def test_a_worker_without_a_gpu_makes_files_on_its_cpu_whatever_blocks_run_on(
    here: Worker, run: RemoteRun
) -> None:
    on_gpus = replace(run, on_gpus=True, forward=ForwardOptions("cuda:99", "bf16"))
    assert run_task(on_gpus, "files", device_of, ())[0] == ("cpu", "fp32")
    assert here.events


_AT_ONCE = threading.Barrier(2)


def meets_another(process: Process, lane: str) -> bool:
    """Whether another task of this process runs at the same time."""
    with process.forward if lane == "forward" else nullcontext():
        try:
            _AT_ONCE.wait(0.2)
        except threading.BrokenBarrierError:
            return False
    return True


@pytest.mark.parametrize(
    ("device", "on_gpus", "lanes", "met"),
    [
        ("cpu", False, ("forward", "files"), False),
        ("cpu", False, ("files", "files"), False),
        ("cpu", True, ("files", "files"), True),
        ("cuda", False, ("forward", "files"), True),
    ],
)
def test_files_wait_for_blocks_and_one_another_unless_blocks_run_on_gpus(
    here: Worker,
    run: RemoteRun,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    on_gpus: bool,
    lanes: tuple[str, str],
    met: bool,
) -> None:
    predictor: Any = SimpleNamespace(device=torch.device(device))
    classes: Any = None
    process = Process(predictor, classes, 1, lambda _: None)
    monkeypatch.setattr(worker.processes, "_make", lambda _: (process, 0))
    _AT_ONCE.reset()
    chosen = replace(run, on_gpus=on_gpus)
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(run_task, chosen, lane, meets_another, (lane,)) for lane in lanes]
        assert [task.result()[0] for task in tasks] == [met, met]
    assert sum(event[0] == "begun" for event in here.events) == 2


def test_two_threads_of_a_worker_load_one_model(
    here: Worker, run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = worker.load_model, list[Path]()

    def slowly(file: Path) -> Any:
        loaded.append(file)
        time.sleep(0.05)
        return load(file)

    monkeypatch.setattr(worker, "load_model", slowly)
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(run_task, run, "files", processes, ()) for _ in range(2)]
        assert len({task.result()[0] for task in tasks}) == len(loaded) == 1
    assert len(here.events) == 4


def test_a_call_is_its_result_where_it_is_unpickled_and_fails_alone_where_a_name_is_unknown(
    here: Worker, run: RemoteRun
) -> None:
    sent = pickle.dumps(RemoteCall(run, "files", Task(threads_and_windows, ([3], "files"))))
    assert pickle.loads(sent) == (1, 3)
    assert here.events[-1][0] == "ended"
    with pytest.raises(AttributeError, match="threads_and_windowz"):
        pickle.loads(sent.replace(b"threads_and_windows", b"threads_and_windowz"))


def test_each_run_has_its_own_topic(run: RemoteRun) -> None:
    assert topic_of(run) != topic_of(replace(run, name="another run"))
