"""What runs in a worker process: what it says of itself, its model, and the tasks sent to it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from distributed import get_worker
from distributed.protocol import pickle

import geoseg
from geoseg.copies import local_copy
from geoseg.errors import ConfigError, GeosegError, StoreError, one_line_reason
from geoseg.files import sweep, write_text
from geoseg.foreign import allow_remote
from geoseg.inference.agreement import GPU, WorkerFacts
from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor, choose_device, choose_precision, processor_of
from geoseg.inference.stories import Lane, Task
from geoseg.memory import free_memory, held_memory, trim_heap
from geoseg.models import load_model
from geoseg.places import SITE, AnyPath, building_site
from geoseg.stores import StorePath

_HEARTBEAT_SECONDS = 1.0


def dask_setup(_: Any) -> None:
    """Dask calls it in each worker that starts: also where signals cannot be blocked (Windows)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def can_import() -> None:
    """Do nothing: a worker that is asked to has imported all that a task needs."""


def facts_of_worker(
    device: str, precision: str, token: AnyPath | None, sources: Sequence[Path], dask_worker: Any
) -> WorkerFacts:
    """What this worker is, and what keeps it from taking part.

    Args:
        device: as the user asks for it.
        precision: likewise.
        token: a file of the client in the output folder; None: nothing is to be written.
        sources: some that it must be able to read.
        dask_worker: Dask's worker; `Client.run` gives it by this name.
    """
    try:
        chosen = choose_device(device)
        effective = str(choose_precision(precision, chosen))
        fault = _blindness(token, sources)
    except ConfigError as error:
        chosen, effective, fault = torch.device("cpu"), "fp32", f"cannot take part: {error}"
    return WorkerFacts(
        dask_worker.address,
        socket.gethostname(),
        os.cpu_count() or 1,
        torch.__version__,
        chosen.type,
        processor_of(chosen),
        effective,
        fault,
        GPU in dask_worker.state.total_resources,
        dask_worker.memory_manager.memory_limit,
        free_memory() + held_memory(),
    )


def _blindness(token: AnyPath | None, sources: Sequence[Path]) -> str | None:
    """What this worker cannot see that it must, and what to do."""
    if token is not None:
        out = token.parent.parent
        if fault := _unseen(token):
            return fault
        own = token.with_name(f"{token.name}-{uuid.uuid4().hex}")
        try:
            write_text(own, "")
            own.unlink()
        except (OSError, StoreError) as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            return f"cannot write into the output folder {out} ({reason}); let its user do so"
    for source in sources:
        if not os.access(source, os.R_OK):
            return f"cannot read {source}; give inputs on a path that all workers share"
    return None


def _unseen(path: AnyPath) -> str | None:
    """Why this worker does not see a file of the output folder."""
    try:
        if isinstance(path, StorePath):
            path.refuse_unusable()
        if path.exists():
            return None
    except (ConfigError, StoreError) as error:
        return f"cannot use the output folder {path.parent.parent} ({error})"
    return (
        f"does not see the output folder {path.parent.parent}; give --out on a path that all share"
    )


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """From what a worker makes its `Process`; travels with each task."""

    name: str
    """Of this run and no other."""
    model: AnyPath
    """Model file that every worker can read, named by its content."""
    forward: ForwardOptions
    batch: int | None
    threads: int
    """Torch threads of each worker; Dask's nanny leaves it one, whatever the machine has."""
    parts: int = 1
    """Whose polygons a task makes at once."""
    gpu_memory: int | None = None
    """Bytes of a GPU that each worker may hold; None: all that it gets."""
    geoseg: str = geoseg.__version__
    """Of the client."""
    kinds: tuple[str, ...] = ()
    """Of the workers that run blocks; another one is refused. Empty: all are taken."""
    allow_remote: bool = False
    """The client's leave to follow references to servers."""
    on_gpus: bool = False
    """Blocks go to workers that declare a GPU; the others make files."""


class RefusedWorkerError(Exception):
    """A worker that must not run tasks of a run: it joined late, and is not as the others are.

    Args:
        address: of the worker.
        reason: what it is or lacks.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason


class _Heartbeat:
    """Tells the client that a task has begun here, and how far it is at most once a second."""

    def __init__(self, topic: str, key: str, address: str) -> None:
        self.passed = 0
        self._topic, self._key, self._address = topic, key, address
        self._told = time.monotonic()

    def begin(self) -> None:
        get_worker().log_event(self._topic, ("begun", self._key, self._address))

    def __call__(self, count: int) -> None:
        self.passed += count
        now = time.monotonic()
        if now - self._told >= _HEARTBEAT_SECONDS:
            self._told = now
            get_worker().log_event(self._topic, ("passed", self._key, self.passed))

    def end(self, result: Any) -> None:
        """Tell the result too: who fetches it from a worker that has just frozen waits minutes."""
        answer = pickle.dumps((result, self.passed))
        get_worker().log_event(self._topic, ("ended", self._key, answer))


@contextmanager
def _turn(lock: AbstractContextManager[Any], begin: Callable[[], None]) -> Iterator[None]:
    """A task's turn in this process; the client is told when it comes, not while it waits."""
    with lock:
        begin()
        yield


@contextmanager
def _complete(worker: Any) -> Iterator[None]:
    """A worker that lacks a library is not to run tasks; others may have it."""
    try:
        yield
    except ImportError as error:
        reason = f"cannot import what a task needs ({one_line_reason(error)}); install geoseg anew"
        raise RefusedWorkerError(worker.address, reason) from error


_stopped: set[str] = set()
"""The runs and tasks that must stop."""


def stop(names: Sequence[str]) -> None:
    """Let runs or tasks end at their next forward.

    Args:
        names: of runs, keys of tasks.
    """
    _stopped.update(names)


_leave = ExitStack()
"""To go online, as the client of the latest run has it; tasks of one run may overlap."""
_loading = threading.Lock()
_turns = threading.Lock()


def run_task(
    run: RemoteRun, lane: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, int]:
    """A task's result, and how many windows it has passed.

    Raises:
        RefusedWorkerError: this worker must not run it, or lacks a library for it.
    """
    worker = get_worker()
    torch.set_num_threads(run.threads)
    with _loading, _complete(worker):  # else two threads of a worker would both do it
        process = _process(run)
    key = worker.get_current_task()
    heartbeat = _Heartbeat(topic_of(run), key, worker.address)
    here = replace(
        process,
        on_window=heartbeat,
        stopped=lambda: not _stopped.isdisjoint((run.name, key)),
        forward=_turn(_turns, heartbeat.begin),
    )
    # Files are made beside what runs on a GPU, else in turn with the blocks: the plan counts the
    # memory of one task, whatever threads Dask has given a worker.
    beside = process.predictor.device.type != "cpu" or run.on_gpus
    files = _turn(nullcontext() if beside else _turns, heartbeat.begin)
    try:
        with _complete(worker), files if lane == "files" else nullcontext():
            result = function(here, *arguments)
        heartbeat.end(result)
        return result, heartbeat.passed
    except KeyboardInterrupt:
        # From `stopped`: nobody waits for the result, and Dask would end the worker with noise.
        return None, heartbeat.passed
    except GeosegError as error:
        error.args = (f"{error} (on worker {worker.address})", *error.args[1:])
        raise
    finally:
        trim_heap()


class RemoteCall:
    """Becomes the result of `run_task` where it is unpickled.

    A worker that cannot import what a task is made of fails that task alone; if Dask unpickled it,
    it would end the worker, and say nothing to the client.
    """

    def __init__(self, run: RemoteRun, lane: Lane, task: Task) -> None:
        self._arguments = (run, lane, task.function, task.arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return run_task, self._arguments


def topic_of(run: RemoteRun) -> str:
    """The Dask topic under which the client of a run is told of its tasks."""
    return f"geoseg-{run.name}"


@lru_cache(maxsize=1)
def _process(run: RemoteRun) -> Process:
    """What this process holds for a run; a worker that joined late is looked at first.

    Raises:
        RefusedWorkerError: it does not see the output folder, or is not as the others are.
    """
    forward, worker = run.forward, get_worker()
    if run.on_gpus and GPU not in worker.state.total_resources:
        forward = replace(forward, device="cpu", precision="fp32")  # it makes files alone
        fault = None
    else:
        facts = facts_of_worker(forward.device, forward.precision, None, (), worker)
        alike = not run.kinds or facts.kind in run.kinds
        fault = facts.fault or (None if alike else f"is of another kind: {facts.kind}")
    if run.geoseg != geoseg.__version__:
        fault = f"has geoseg {geoseg.__version__}, the client {run.geoseg}"
    else:
        fault = fault or _unseen(run.model)
    if fault:
        raise RefusedWorkerError(worker.address, fault)
    _leave.close()
    _leave.enter_context(allow_remote(run.allow_remote))
    if isinstance(run.model, StorePath):  # one that died may have left what it was building
        sweep(building_site(run.model).parent, beginning=SITE)
    with local_copy(run.model) as file:
        model = load_model(file)
    return Process(
        Predictor(model, forward, run.batch, run.gpu_memory, owned=True),
        model.card.classes,
        threads=run.parts,
        on_window=lambda _: None,
    )
