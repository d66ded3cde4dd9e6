"""Workers that die, freeze, join and are no good; a scheduler that goes and comes."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import get_worker

from geoseg.errors import RunError, SchedulerLostError, SourceError
from geoseg.inference import cluster_slots, roll_call
from geoseg.inference.cluster_slots import ClusterSlots
from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.stories import Lane, Task
from geoseg.inference.worker import RemoteRun
from tests.chaos.faults import BLIND, OTHER_KIND, OTHER_VERSION
from tests.chaos.processes import ExternalCluster, wait_until


@pytest.fixture
def run(model_file: Path) -> RemoteRun:
    return RemoteRun("a run", model_file, ForwardOptions(), 1, threads=1)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ExternalCluster]:
    root = tmp_path / "cluster"
    root.mkdir()
    with ExternalCluster(root) as cluster:
        yield cluster


def lethal(process: Process) -> None:
    with process.forward:
        time.sleep(0.3)  # what has begun is told first
        os._exit(1)


def harmless(process: Process, seconds: float, folder: Path) -> int:
    with process.forward:
        (folder / f"begun-{os.getpid()}").touch()
        time.sleep(seconds)
    return os.getpid()


def result(slots: ClusterSlots, future: Any) -> Any:
    """The result, while the slots are looked after as a run does it."""
    while not future.done():
        slots.check()
        time.sleep(0.1)
    return future.result()


def test_a_block_that_three_workers_died_of_fails_alone_and_names_them(
    cluster: ExternalCluster, run: RemoteRun, tmp_path: Path
) -> None:
    for _ in range(4):
        cluster.start_worker()
    cluster.await_workers(4)
    with cluster.client() as client, ClusterSlots(client, run, lambda _: None) as slots:
        others = [slots.submit("forward", Task(harmless, (0.05, tmp_path))) for _ in range(6)]
        bad = slots.submit("forward", Task(lethal, ()))
        with pytest.raises(SourceError, match=r"lethal: 3 workers died .*(tcp://\S+, ){2}tcp"):
            result(slots, bad)
        assert all(result(slots, other) for other in others)


def lacking(process: Process) -> int:
    with process.forward:
        if get_worker().name == "poor":
            raise ImportError("no such library")
    return os.getpid()


def test_a_worker_that_lacks_a_library_is_said_once_and_is_none_that_died(
    cluster: ExternalCluster, run: RemoteRun
) -> None:
    notes: list[str] = []
    cluster.start_worker("--name", "poor")
    cluster.await_workers(1)
    with (
        cluster.client() as client,
        ClusterSlots(client, run, lambda _: None, notes.append) as slots,
    ):
        future = slots.submit("forward", Task(lacking, ()))
        with pytest.raises(RunError, match=r"no worker can take part: .*no such library"):
            result(slots, future)
        other = cluster.start_worker()
        cluster.await_workers(2)
        assert result(slots, future) == other.number
        assert [line.endswith("it gets no task") for line in notes] == [True]


@pytest.mark.slow
def test_what_a_frozen_worker_has_is_run_by_another(
    cluster: ExternalCluster, run: RemoteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_call, "SILENT_SECONDS", 3.0)
    frozen = cluster.start_worker()
    cluster.await_workers(1)
    lines: list[str] = []
    with cluster.client() as client, ClusterSlots(client, run, lambda _: None, lines.append) as s:
        future = s.submit("forward", Task(harmless, (2.0, tmp_path)))
        wait_until(lambda: (tmp_path / f"begun-{frozen.pid}").exists(), "the task begins")
        frozen.freeze()
        other = cluster.start_worker()
        assert result(s, future) == other.pid
    assert len(lines) == 1
    assert "is silent; others run what it had" in lines[0]


class Treacherous:
    """Freezes the worker as soon as this is fetched from it."""

    def __reduce__(self) -> tuple[Any, ...]:
        if not threading.current_thread().name.startswith("Dask-Default-Threads"):
            os.kill(os.getpid(), signal.SIGSTOP)
        return int, (7,)


def treacherous(_: Process) -> Treacherous:
    return Treacherous()


def test_a_result_is_not_fetched_from_a_worker_that_may_have_frozen_since(
    cluster: ExternalCluster, run: RemoteRun
) -> None:
    cluster.start_worker()
    cluster.await_workers(1)
    with cluster.client() as client, ClusterSlots(client, run, lambda _: None) as slots:
        assert slots.submit("files", Task(treacherous, ())).result(timeout=60) == 7


@pytest.mark.parametrize(
    ("options", "changed", "reason"),
    [
        ((), OTHER_KIND, "is of another kind"),
        (("--preload", "tests.chaos.without_geoseg"), {}, "has no geoseg"),
        # These are looked at as workers are that were there at the start.
        pytest.param((), OTHER_VERSION, r"has geoseg 0\.0\.9", marks=pytest.mark.slow),
        pytest.param(
            ("--preload", "tests.chaos.broken_geoseg"),
            {},
            "cannot import its geoseg",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_late_worker_of_another_kind_or_geoseg_is_said_and_gets_no_task(
    cluster: ExternalCluster,
    run: RemoteRun,
    tmp_path: Path,
    options: tuple[str, ...],
    changed: dict[str, Any],
    reason: str,
) -> None:
    good = cluster.start_worker()
    cluster.await_workers(1)
    with cluster.client() as client:
        kind = client.submit(kind_of_this_worker).result()
        alike = RemoteRun("a run", run.model, run.forward, 1, 1, kinds=(kind,))
        lines: list[str] = []
        with ClusterSlots(client, alike, lambda _: None, lines.append) as slots:
            cluster.start_worker(*options, changed=changed)
            cluster.await_workers(2)
            slots.check()
            tasks = [slots.submit("forward", Task(harmless, (0.1, tmp_path))) for _ in range(8)]
            assert {result(slots, task) for task in tasks} == {good.pid}
    assert len(lines) == 1
    assert re.fullmatch(rf"worker tcp://\S+ {reason}.*; it gets no task", lines[0])


def reading(_: Process, source: Any) -> int:
    if not os.access(source.path, os.R_OK):
        raise SourceError(f"{source.path}: is not there")
    return os.getpid()


def test_a_late_worker_that_cannot_read_gets_no_task_and_a_source_that_is_gone_fails_alone(
    cluster: ExternalCluster, run: RemoteRun, tmp_path: Path
) -> None:
    good = cluster.start_worker()
    cluster.start_worker(changed=BLIND)
    cluster.await_workers(2)
    there, gone = (SimpleNamespace(path=p, files=(p,)) for p in (run.model, tmp_path / "gone.tif"))
    lines: list[str] = []
    with cluster.client() as client, ClusterSlots(client, run, lambda _: None, lines.append) as s:
        tasks = [s.submit("files", Task(reading, (there,))) for _ in range(8)]
        assert {result(s, task) for task in tasks} == {good.pid}
        with pytest.raises(SourceError, match=r"gone\.tif: is not there \(on worker tcp://"):
            result(s, s.submit("files", Task(reading, (gone,))))
        assert result(s, s.submit("files", Task(reading, (there,)))) == good.pid
    assert len(lines) == 1
    assert f" cannot read {run.model}; give inputs on a path that all workers share" in lines[0]


def kind_of_this_worker() -> str:
    from geoseg.inference.worker_facts import facts_of_worker

    return facts_of_worker("cpu", "fp32", None, (), get_worker()).kind


@pytest.mark.slow
def test_a_scheduler_that_comes_back_in_time_is_told_again_what_is_left(
    cluster: ExternalCluster, run: RemoteRun, tmp_path: Path
) -> None:
    first = cluster.start_worker()
    cluster.await_workers(1)
    passed: list[int] = []
    with cluster.client() as client, ClusterSlots(client, run, passed.append) as slots:
        future = slots.submit("forward", Task(harmless, (60.0, tmp_path)))
        wait_until(lambda: (tmp_path / f"begun-{first.pid}").exists(), "the task begins")
        cluster.scheduler.kill()
        first.kill()
        cluster.start_scheduler()
        last = cluster.start_worker()
        begun = tmp_path / f"begun-{last.pid}"
        wait_until(begun.exists, "the task begins again")
        assert not future.done()


def where(process: Process, seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_where_workers_declare_gpus_blocks_go_to_these_and_files_to_all(
    cluster: ExternalCluster, run: RemoteRun
) -> None:
    plain, gpu = cluster.start_worker(), cluster.start_worker("--resources", "GPU=1")
    cluster.await_workers(2)
    declared = replace(run, on_gpus=True)
    with cluster.client() as client, ClusterSlots(client, declared, lambda _: None) as slots:
        assert (slots.capacity("forward"), slots.capacity("files")) == (2, 2)
        ran: dict[Lane, set[int]] = {}
        lanes: tuple[Lane, ...] = ("forward", "files")
        for lane in lanes:
            futures = [slots.submit(lane, Task(where, (0.1,))) for _ in range(6)]
            ran[lane] = {result(slots, future) for future in futures}
    assert ran == {"forward": {gpu.pid}, "files": {gpu.pid, plain.pid}}


def test_a_scheduler_that_stays_away_interrupts(
    cluster: ExternalCluster, run: RemoteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_slots, "RECONNECT_SECONDS", 0.5)
    cluster.start_worker()
    cluster.await_workers(1)
    with cluster.client() as client, ClusterSlots(client, run, lambda _: None) as slots:
        future = slots.submit("forward", Task(harmless, (60.0, tmp_path)))
        cluster.scheduler.kill()
        with pytest.raises(SchedulerLostError, match="the scheduler is gone; start it") as raised:
            result(slots, future)
        assert raised.value.exit_code == 130
