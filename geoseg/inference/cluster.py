"""Places for tasks in worker processes: on this machine, or of any Dask cluster.

Only this file knows Dask. It is imported only where workers are asked for, as distributed takes a
while. The workers import it too, for `dask_setup` and to run tasks.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import torch
from distributed import Client, LocalCluster, Nanny, Status, get_worker

from geoseg.errors import RunError
from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor
from geoseg.inference.stories import Future, Lane, Task
from geoseg.models import load_model

_STARTS = 3
"""How often a worker that dies while it starts is started."""


class _Nanny(Nanny):  # type: ignore[misc]  # distributed ships no types
    """Starts its worker again also when that dies while it starts; Dask's own gives up."""

    async def instantiate(self) -> Status:
        for _ in range(_STARTS - 1):
            status = await super().instantiate()
            if status == Status.running or self.status not in (Status.init, Status.starting):
                return status
        return await super().instantiate()


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """A client of a cluster of worker processes on this machine.

    Ctrl-C reaches all processes of a terminal; only this one acts on it.
    """
    settings = {
        "distributed.admin.log-format": "%(message)s",
        "distributed.worker.multiprocessing-method": "spawn",
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        with _interrupts_blocked():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    worker_class=_Nanny,
                    memory_limit=0,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                    preload=[__name__],
                )
            )
        yield stack.enter_context(Client(cluster, set_as_default=False))


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C waits in this thread until the end, and for ever in what it starts meanwhile.

    A thread blocks what its maker does, and so does a process: workers import for a second before
    they could ignore anything.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def dask_setup(_: Any) -> None:
    """Dask calls it in each worker that starts: also where signals cannot be blocked (Windows)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """From what a worker makes its `Process`; travels with each task."""

    name: str
    """Of this run and no other."""
    model: Path
    """Model file that every worker can read, named by its content."""
    forward: ForwardOptions
    batch: int | None
    threads: int
    """Torch threads of each worker; Dask's nanny leaves it one, whatever the machine has."""


class ClusterSlots(ExitStack):
    """The workers of a Dask cluster; on leaving, their blocks end at their next forward.

    Args:
        client: a `distributed.Client`.
        run: what the workers make of themselves.
        on_window: called in this process with the number of windows done.
    """

    def __init__(self, client: Any, run: RemoteRun, on_window: Callable[[int], None]) -> None:
        super().__init__()
        self._client, self._run = client, run
        self._topic = f"geoseg-{run.name}"
        self.progress = _Progress(on_window)
        self._futures: set[Any] = set()
        client.subscribe_topic(self._topic, lambda event: self.progress.heard(*event[1]))
        self.callback(self._end)

    def capacity(self, lane: Lane) -> int:
        """Of three tasks a worker process, two are for the network."""
        processes = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        return 2 * processes if lane == "forward" else processes

    def submit(self, lane: Lane, task: Task) -> Future:
        """Send a task to the cluster; files come first there, as they end a raster."""
        key = f"geoseg-{uuid.uuid4().hex}"
        future = self._client.submit(
            _run_task,
            self._run,
            task.function,
            task.arguments,
            key=key,
            priority=0 if lane == "forward" else 1,
        )
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return _RemoteFuture(future, self.progress)

    def check(self) -> None:
        """Raise RunError where the scheduler is gone."""
        if not self._is_connected:
            raise RunError("the scheduler is gone; run the command again, which continues")

    @property
    def _is_connected(self) -> bool:
        return bool(self._client.status == "running")

    def _end(self) -> None:
        if not self._is_connected:
            return
        self._client.unsubscribe_topic(self._topic)
        left = list(self._futures)
        if left:
            self._client.cancel(left)
            self._client.run(_stop, self._run.name, on_error="ignore")  # one may be dead


class _Progress:
    """Windows done, told as they come and corrected by the results."""

    def __init__(self, on_window: Callable[[int], None]) -> None:
        self._on_window = on_window
        self._heard: dict[str, int] = {}

    def heard(self, key: str, passed: int) -> None:
        """A task has passed so many windows up to now."""
        more = passed - self._heard.get(key, 0)
        if more > 0:
            self._heard[key] = passed
            self._on_window(more)

    def done(self, key: str, passed: int) -> None:
        """A task is done, and will not be heard of again."""
        self.heard(key, passed)
        self._heard[key] = passed


@dataclass(frozen=True, slots=True)
class _RemoteFuture:
    future: Any
    progress: _Progress

    def result(self) -> Any:
        result, passed = self.future.result()
        self.progress.done(self.future.key, passed)
        return result

    def add_done_callback(self, call: Callable[[Any], Any]) -> None:
        self.future.add_done_callback(lambda _: call(self))


_HEARTBEAT_SECONDS = 1.0


class _Heartbeat:
    """In a worker: tells the client how far a block is, at most once a second."""

    def __init__(self, topic: str, key: str) -> None:
        self.passed = 0
        self._topic, self._key = topic, key
        self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        self.passed += count
        now = time.monotonic()
        if now - self._told >= _HEARTBEAT_SECONDS:
            self._told = now
            get_worker().log_event(self._topic, (self._key, self.passed))


_stopped_runs: set[str] = set()
"""In a worker: the runs whose tasks must stop."""


def _stop(run: str) -> None:
    _stopped_runs.add(run)


_loading = threading.Lock()


def _run_task(
    run: RemoteRun, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, int]:
    """A task's result, and how many windows it has passed."""
    torch.set_num_threads(run.threads)
    with _loading:  # else two threads of a worker would both do it
        process = _process(run)
    heartbeat = _Heartbeat(f"geoseg-{run.name}", get_worker().get_current_task())
    try:
        return function(replace(process, on_window=heartbeat), *arguments), heartbeat.passed
    except KeyboardInterrupt:
        # From `stopped`: nobody waits for the result, and Dask would end the worker with noise.
        return None, heartbeat.passed


@lru_cache(maxsize=1)
def _process(run: RemoteRun) -> Process:
    model = load_model(run.model)
    return Process(
        Predictor(model, run.forward, run.batch),
        model.card.classes,
        threads=run.threads,
        on_window=lambda _: None,
        stopped=lambda: run.name in _stopped_runs,
    )
