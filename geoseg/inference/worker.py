"""What runs in a worker process: what it says of itself, its model, and the tasks sent to it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from distributed import get_worker

import geoseg
from geoseg.copies import local_copy
from geoseg.errors import GeosegError, SourceError, one_line_reason
from geoseg.files import sweep
from geoseg.foreign import allow_remote, remote_allowed
from geoseg.inference.agreement import GPU
from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.heartbeat import Heartbeat
from geoseg.inference.latest import Latest
from geoseg.inference.predictor import Predictor
from geoseg.inference.stories import Lane, Task
from geoseg.inference.worker_facts import blindness_of_worker, facts_of_worker, hidden_file
from geoseg.memory import trim_heap
from geoseg.models import load_model
from geoseg.places import SITE, AnyPath, building_site
from geoseg.stores import StorePath

_MOST_HELD = 2**28


def dask_setup(_: Any) -> None:
    """Dask calls it in each worker that starts: also where signals cannot be blocked (Windows)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def can_import() -> None:
    """Do nothing: a worker that is asked to has imported all that a task needs."""


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
        unread: a source that it cannot read, and the error of the task that tried: the worker's
            fault only where others can.
    """

    def __init__(
        self, address: str, reason: str, unread: tuple[Path, SourceError] | None = None
    ) -> None:
        super().__init__(address, reason, unread)
        self.address, self.reason, self.unread = address, reason, unread


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
"""To go online, as the client of the latest task has it."""
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
    with _loading, _complete(worker):  # else two threads of a worker would both do it
        process = processes(run)
        if remote_allowed() != run.allow_remote:
            _leave.close()
            _leave.enter_context(allow_remote(run.allow_remote))
    key = worker.get_current_task()
    heartbeat = Heartbeat(worker, topic_of(run), key)

    def begin() -> None:
        # In its turn: libraries count their threads for the whole process, in which another
        # client's task may have run meanwhile.
        torch.set_num_threads(run.threads)
        heartbeat.begin()

    here = replace(
        process,
        on_window=heartbeat,
        stopped=lambda: not _stopped.isdisjoint((run.name, key)),
        forward=_turn(_turns, begin),
    )
    # Files are made beside what runs on a GPU, else in turn with the blocks: the plan counts the
    # memory of one task, whatever threads Dask has given a worker.
    beside = process.predictor.device.type != "cpu" or run.on_gpus
    files = _turn(nullcontext() if beside else _turns, begin)
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
        if isinstance(error, SourceError):
            _refuse_blind(worker.address, arguments, error)
        raise
    finally:
        trim_heap()


def _refuse_blind(address: str, arguments: tuple[Any, ...], error: SourceError) -> None:
    """A worker that cannot read the source of a task would fail one raster after the other.

    Raises:
        RefusedWorkerError: it cannot.
    """
    first = arguments[0] if arguments else None
    source = getattr(getattr(first, "folder", None), "source", first)
    hidden = hidden_file(getattr(source, "files", ()))
    if hidden is not None:
        reason = f"cannot read {hidden}; give inputs on a path that all workers share"
        raise RefusedWorkerError(address, reason, (hidden, error)) from error


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


def _process(run: RemoteRun) -> tuple[Process, int]:
    """What this process holds for a run, and bytes; a worker that joined late is looked at first.

    Raises:
        RefusedWorkerError: it does not see the output folder, or cannot write there, or is not as
            the others are.
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
        fault = fault or blindness_of_worker(run.model, ())
    if fault:
        raise RefusedWorkerError(worker.address, fault)
    if isinstance(run.model, StorePath):  # one that died may have left what it was building
        sweep(building_site(run.model).parent, beginning=SITE)
    with local_copy(run.model) as file:
        model, size = load_model(file), file.stat().st_size
    predictor = Predictor(model, forward, run.batch, run.gpu_memory, owned=True)
    process = Process(predictor, model.card.classes, run.parts, on_window=lambda _: None)
    return process, size


def _most_held() -> int:
    """Bytes of the models of runs that take turns here, beside that of the latest task.

    A plan leaves a quarter of a worker's limit free, of which Dask wants four fifths.
    """
    limit = get_worker().memory_manager.memory_limit
    return min(_MOST_HELD, limit // 24) if limit else _MOST_HELD


processes = Latest(_process, _most_held)
"""What this process holds for the latest runs."""
