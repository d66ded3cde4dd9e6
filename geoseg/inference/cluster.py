"""Worker processes on this machine: started by spawning, on every system, and again if they die.

Imported only where workers are asked for, as distributed takes a while. The workers import it too,
for `dask_setup`.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster, Nanny, Status

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
        # Not the default one: polygons are made on this process's own threads meanwhile.
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
