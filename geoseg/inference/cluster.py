"""Dask clusters: one of processes on this machine, or any that runs elsewhere.

With `cluster_slots` and `worker`, it is all that knows Dask. These are imported only where workers
are asked for, as distributed takes a while.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed.utils
from distributed import Client, LocalCluster, Nanny, Status
from distributed.versions import VersionMismatchWarning

from geoseg.errors import ConfigError, RunError, one_line_reason
from geoseg.inference.agreement import Cluster, agree
from geoseg.inference.fork_server import START_METHOD, unguarded_script
from geoseg.inference.options import PredictOptions
from geoseg.inference.roll_call import ask_workers
from geoseg.places import AnyPath
from geoseg.stopping import interrupts_blocked

CONNECT_SECONDS = 10.0
"""To reach a scheduler, also one that was lost."""
WORKERS_SECONDS = 30.0
"""To wait for the first worker of a cluster."""
_STARTS = 3
"""How often a worker that dies while it starts is started."""


class _Nanny(Nanny):  # type: ignore[misc]  # distributed ships no types
    """Starts its worker again also when that dies while it starts; Dask's own gives up.

    Args:
        arguments: of Dask's own.
        name: number of the worker.
        gpus: dealt out to the workers, each of which sees one alone; none: each sees all.
        options: of Dask's own.
    """

    def __init__(
        self, *arguments: Any, name: int, gpus: Sequence[str] = (), **options: Any
    ) -> None:
        # All of it: a process that was forked has that of its fork server's start.
        env = dict(os.environ)
        if gpus:
            env["CUDA_VISIBLE_DEVICES"] = gpus[name % len(gpus)]
        super().__init__(*arguments, name=name, env=env, **options)

    async def instantiate(self) -> Status:
        for _ in range(_STARTS - 1):
            status = await super().instantiate()
            if status == Status.running or self.status not in (Status.init, Status.starting):
                return status
        return await super().instantiate()


@contextmanager
def local_cluster(
    workers: int, gpus: Sequence[str] = (), start: str = START_METHOD
) -> Iterator[Any]:
    """A client of a cluster of worker processes on this machine.

    Ctrl-C reaches all processes of a terminal; only this one acts on it.

    Args:
        workers: number of processes.
        gpus: that they share, as CUDA_VISIBLE_DEVICES names them; none: each sees all.
        start: of the processes, as `multiprocessing` names it.

    Raises:
        RunError: they do not start.
    """
    settings = {
        "distributed.admin.log-format": "%(message)s",
        "distributed.scheduler.allowed-failures": 2,  # the third death of a block is its last
        "distributed.worker.multiprocessing-method": start,
        # Dask watches itself 50 to 100 times a second: that takes a 25th of two processors.
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.worker.profile.enabled": False,
        # By default an idle worker waits a second for what is queued behind another's task.
        "distributed.scheduler.work-stealing-interval": "200ms",
        # With it, memory of each layer is taken from the system anew: a twentieth of a forward.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        stack.enter_context(_own_fork_server())
        with interrupts_blocked(), _named_start():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    worker_class=_Nanny,
                    gpus=gpus,
                    memory_limit=0,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                    preload=["geoseg.inference.worker"],
                )
            )
        yield stack.enter_context(Client(cluster, set_as_default=False))


@contextmanager
def _named_start() -> Iterator[None]:
    """Say in a line that workers do not start; what each misses, Python has printed.

    Raises:
        RunError: they do not.
    """
    try:
        yield
    except RuntimeError as error:
        raise RunError(
            f"worker processes cannot be started ({one_line_reason(error)}); "
            f"{unguarded_script() or 'run it again, as one may have been killed'}; "
            "without --workers nothing is started"
        ) from error


@contextmanager
def _own_fork_server() -> Iterator[None]:
    """Keep Dask from choosing what a fork server imports: it imports pandas here to find out."""
    is_chosen = "_forkserver_preload_set"
    before = getattr(distributed.utils, is_chosen, False)
    setattr(distributed.utils, is_chosen, True)
    try:
        yield
    finally:
        setattr(distributed.utils, is_chosen, before)


@contextmanager
def remote_cluster(scheduler: str, warn: Callable[[str], None]) -> Iterator[Any]:
    """A client of a cluster that runs already, and has a worker at least.

    Args:
        scheduler: address, or a file that a scheduler has written.
        warn: called with a line where libraries have other versions there.

    Raises:
        ConfigError: it is not there, or has no worker.
    """
    address = _address(scheduler)
    # Dask logs on its own what geoseg says in a line.
    with dask.config.set({"distributed.admin.log-format": "%(message)s"}), ExitStack() as stack:
        for logger in ("distributed", "distributed.client"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        client, reason = None, ""
        try:
            with warnings.catch_warnings(record=True) as heard:  # from Dask's own thread
                warnings.simplefilter("always", VersionMismatchWarning)
                client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            reason = one_line_reason(error)
        if client is None:
            # A client that could not start closes when it is collected, in any thread: in that of
            # the next client, the two would wait for one another.
            gc.collect()
            raise ConfigError(
                f"scheduler {address} cannot be reached ({reason}); start one with "
                "`dask scheduler` (tls:// needs Dask's own TLS settings), or use --workers N"
            )
        stack.enter_context(client)
        for each in heard:
            if isinstance(each.message, VersionMismatchWarning):
                warn(_one_line(each.message))
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError:
            raise ConfigError(
                f"scheduler {address} has no worker; start some with `dask worker {address}` "
                "where geoseg is installed, and run the command again"
            ) from None
        yield client


def _one_line(mismatch: Warning) -> str:
    """Dask's table of versions that differ, a row a package, as a line."""
    rows = [line.split("|")[1:-1] for line in str(mismatch).splitlines() if line[:1] == "|"]
    (_, *places), *packages = [[cell.strip() for cell in row] for row in rows]
    found = [
        f"{name}: " + ", ".join(map("{} {}".format, places, versions))
        for name, *versions in packages
    ]
    return f"versions differ in the cluster ({'; '.join(found)}); equal ones are safest"


@contextmanager
def join_cluster(
    options: PredictOptions, out: AnyPath, sources: Sequence[Path]
) -> Iterator[Cluster]:
    """The cluster behind ``--scheduler``, its workers asked and agreed.

    Args:
        options: of the run.
        out: the output folder.
        sources: inputs that each worker must be able to read.

    Raises:
        ConfigError: it is not there, or its workers cannot run this together.
        OutputError: the output folder cannot be written here.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(asked) if asked.isdigit() else None
    warned: list[str] = []
    with remote_cluster(str(options.scheduler), warned.append) as client:
        workers = ask_workers(client, options, out, sources)
        agreement = agree(workers, mixed=options.mixed, threads=threads)
        yield Cluster(client, uuid.uuid4().hex, tuple(workers), agreement, tuple(warned))


def _address(scheduler: str) -> str:
    """The address itself, or that in a scheduler file.

    Raises:
        ConfigError: it is neither.
    """
    if "://" in scheduler:
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"scheduler {scheduler!r} is no address such as tcp://HOST:8786 and no file that "
            f"`dask scheduler --scheduler-file` has written ({one_line_reason(error)})"
        ) from error
