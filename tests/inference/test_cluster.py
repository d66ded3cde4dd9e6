"""Worker processes: started again when they die, deaf to Ctrl-C, gone at the end; their tasks."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import distributed.utils
import psutil
import pytest
import torch

from geoseg.errors import RunError, SchedulerLostError, SourceError
from geoseg.inference import cluster, fork_server
from geoseg.inference.agreement import WorkerFacts
from geoseg.inference.cluster import local_cluster
from geoseg.inference.cluster_slots import ClusterSlots
from geoseg.inference.engine import Process
from geoseg.inference.fork_server import START_METHOD
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.options import PredictOptions
from geoseg.inference.stories import Task
from geoseg.inference.worker import RemoteRun
from tests.chaos.processes import kill_first, workers


def process_of(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.mark.parametrize("age", [0.0, pytest.param(0.7, marks=pytest.mark.slow)])
def test_a_worker_that_is_killed_while_it_starts_is_started_again(age: float) -> None:
    killer = threading.Thread(target=kill_first, args=(age,))
    killer.start()
    with local_cluster(2) as client:
        killer.join()
        ran_on = client.gather(client.map(process_of, range(40), pure=False))
        assert len(set(ran_on)) == 2
    assert not psutil.wait_procs(workers(), timeout=20)[1]


def test_a_worker_that_is_killed_in_its_work_leaves_it_to_the_others() -> None:
    with local_cluster(2) as client:
        futures = client.map(process_of, range(40), pure=False)
        kill_first(0.0)
        assert len(client.gather(futures)) == 40


GUARDED = "def main(): ...\nif __name__ == '__main__':\n    main()\n"


@pytest.mark.parametrize(
    ("script", "of_geoseg", "advice"),
    [
        ("bare.py", False, r"bare\.py needs `if __name__ == '__main__':`"),
        ("<stdin>", False, r"<stdin> needs .*, and must be a file"),
        ("guarded.py", False, "run it again, as one may have been killed"),
        (None, False, "run it again"),
        ("bare.py", True, "run it again"),
    ],
)
def test_workers_that_do_not_start_are_said_in_a_line(
    script: str | None,
    of_geoseg: bool,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("Nanny failed to start")

    (tmp_path / "bare.py").write_text("print('no guard')")
    (tmp_path / "guarded.py").write_text(GUARDED)
    main = ModuleType("__main__")
    if script is not None:
        main.__file__ = str(tmp_path / script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(fork_server.STOPPING, "listens", of_geoseg)
    monkeypatch.setattr(cluster, "LocalCluster", broken)
    said = rf"started \(Nanny failed to start\); .*{advice}"
    with pytest.raises(RunError, match=said), local_cluster(2):
        pytest.fail("it has begun")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked")
def test_ctrl_c_never_reaches_a_worker_while_it_starts_or_later() -> None:
    def blocked() -> tuple[bool, Any]:
        # What is asked to change nothing tells what is blocked.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, set())
        return signal.SIGINT in mask, signal.getsignal(signal.SIGINT)

    if START_METHOD == "forkserver":  # one that other tests have started themselves hears it
        forkserver._forkserver._stop()
    with local_cluster(1) as client:
        assert client.run(blocked).popitem()[1] == (True, signal.SIG_IGN)
        assert not blocked()[0], "this process still hears it"
        (worker,) = workers()
        worker.kill()
        client.wait_for_workers(1, timeout=60)
        while [each.pid for each in workers()] in ([], [worker.pid]):
            time.sleep(0.1)
        assert client.submit(blocked).result(timeout=60)[0]


class Imports:
    """`importlib` as Dask uses it, and what that imports by it."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def import_module(self, name: str) -> Any:
        self.names.append(name)
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def looked_up() -> Iterator[list[str]]:
    imports = Imports()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed.utils, "_forkserver_preload_set", False)
        patch.setattr(distributed.utils, "importlib", imports)
        yield imports.names


@pytest.fixture(scope="module")
def client(looked_up: list[str]) -> Iterator[Any]:
    with local_cluster(2, ["7", "GPU-8"]) as client:
        yield client


def test_dask_does_not_import_pandas_here_to_find_out_what_a_fork_server_could(
    client: Any, looked_up: list[str]
) -> None:
    assert "pandas" not in looked_up


def test_an_idle_worker_takes_what_waits_for_another_within_200_ms(client: Any) -> None:
    def milliseconds(dask_scheduler: Any) -> float:
        return float(dask_scheduler.periodic_callbacks["stealing"].callback_time)

    assert client.run_on_scheduler(milliseconds) == 200.0


def test_each_worker_sees_its_own_gpu_alone(client: Any) -> None:
    seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
    assert sorted(seen.values()) == ["7", "GPU-8"]


def facts() -> tuple[int, Any]:
    return os.getpid(), signal.getsignal(signal.SIGINT)


def test_workers_are_processes_of_one_task_each_that_leave_ctrl_c_to_this_one(client: Any) -> None:
    found = client.run(facts)
    assert len({process for process, _ in found.values()} | {os.getpid()}) == 3
    assert all(handler == signal.SIG_IGN for _, handler in found.values())
    assert set(client.nthreads().values()) == {1}
    info = client.scheduler_info()["workers"].values()
    assert [worker["memory_limit"] for worker in info] == [0, 0], "Dask is to kill none of them"


def windows_told(process: Process, counts: list[int], seconds: float) -> tuple[int, int]:
    """A task of the engine: tells of windows, and says where it ran with how many threads."""
    with process.forward:
        for count in counts:
            time.sleep(seconds)
            process.on_window(count)
        return os.getpid(), torch.get_num_threads()


def identity_of_the_net(process: Process) -> tuple[int, int]:
    return os.getpid(), id(process.predictor)


def until_stopped(process: Process, started: Path) -> None:
    started.touch()
    while not process.stopped():
        time.sleep(0.01)
    started.unlink()
    raise KeyboardInterrupt


def fail(_: Process) -> None:
    raise SourceError("scene.tif: no")


@pytest.fixture
def run(model_file: Path) -> RemoteRun:
    return RemoteRun(model_file.stem, model_file, ForwardOptions(), 1, threads=3)


def test_each_window_is_told_once_as_it_comes_or_at_the_end(client: Any, run: RemoteRun) -> None:
    passed: list[int] = []
    with ClusterSlots(client, run, passed.append) as slots:
        tasks = [Task(windows_told, ([2, 3] * 4, 0.3)), Task(windows_told, ([7], 0.0))]
        results = [slots.submit("forward", task) for task in tasks]
        threads = {future.result()[1] for future in results}
    assert sum(passed) == 4 * 5 + 7
    assert 3 <= len(passed) <= 4, "about once a second, and at the end"
    assert threads == {3}


def test_each_worker_loads_the_model_once(client: Any, run: RemoteRun) -> None:
    with ClusterSlots(client, run, lambda _: None) as slots:
        futures = [slots.submit("forward", Task(identity_of_the_net, ())) for _ in range(20)]
        loaded = {future.result() for future in futures}
    assert len(loaded) == len({process for process, _ in loaded})


def test_a_task_that_fails_raises_here_what_it_raised_there(client: Any, run: RemoteRun) -> None:
    with (
        ClusterSlots(client, run, lambda _: None) as slots,
        pytest.raises(SourceError, match=r"scene\.tif: no"),
    ):
        slots.submit("files", Task(fail, ())).result()


def test_leaving_stops_the_tasks_that_run(client: Any, run: RemoteRun, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with ClusterSlots(client, run, lambda _: None) as slots:
        for _ in range(6):
            slots.submit("forward", Task(until_stopped, (started,)))
        while not started.exists():
            time.sleep(0.01)
    deadline = time.monotonic() + 30
    while started.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not started.exists()


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("", 8), ("3,1", 8)])
def test_a_cluster_that_runs_is_joined_by_a_name_of_its_own_with_the_threads_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str, threads: int
) -> None:
    client = mock.MagicMock()
    connect = mock.Mock(return_value=client)
    facts = WorkerFacts("tcp://w:1", "w", 8, "2.11", "cpu", "AVX512", "fp32")
    monkeypatch.setattr(cluster, "Client", connect)
    monkeypatch.setattr(cluster, "ask_workers", lambda *_: [facts])
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    options = PredictOptions.from_keywords(scheduler="tcp://s:1")
    names = set()
    for _ in range(2):
        with cluster.join_cluster(options, tmp_path, []) as joined:
            client.__exit__.assert_not_called()
            assert joined.agreement.threads == threads
            assert (joined.client, joined.workers, joined.warnings) == (client, (facts,), ())
            names.add(joined.name)
        client.__exit__.assert_called_once()
        client.__exit__.reset_mock()
    assert len(names) == 2, "the end of one run must not stop another's tasks"
    connect.assert_called_with("tcp://s:1", timeout=cluster.CONNECT_SECONDS, set_as_default=False)
    client.wait_for_workers.assert_called_with(1, timeout=cluster.WORKERS_SECONDS)


def test_a_scheduler_that_is_gone_is_said(run: RemoteRun) -> None:
    with local_cluster(1) as client, ClusterSlots(client, run, lambda _: None) as slots:
        slots.check()
        client.close()
        with pytest.raises(SchedulerLostError, match="the scheduler is gone; start it"):
            slots.check()
