"""A Dask scheduler and workers as processes of their own, as a cluster has them.

They are forked by a server that has imported what takes seconds to import, so that one costs tenths
of a second: hundreds of them die here.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import set_forkserver_preload
from pathlib import Path
from typing import Any

import psutil
import torch
from distributed import Client

set_forkserver_preload(
    [
        *("distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "geoseg.cli"),
        *("geoseg.commands.predict", "geoseg.inference.cluster", "geoseg.inference.cluster_slots"),
        *("geoseg.inference.sheet", "pyogrio._io", "pyogrio.raw"),
    ]
)


class Program(ForkServerProcess):
    """A program without its imports; it ends with this process at the latest.

    Args:
        module: whose `main` reads the command line.
        arguments: of the command line.
        folder: that it runs in; what it prints is appended to a file ``log`` there.
        changed: values of attributes, by ``module:name``.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        folder: Path,
        changed: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(target=_run, args=(module, arguments, folder, changed or {}), daemon=True)
        self.start()

    @property
    def number(self) -> int:
        assert self.pid is not None
        return self.pid

    @property
    def is_frozen(self) -> bool:
        return self.is_alive() and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def freeze(self) -> None:
        os.kill(self.number, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self.number, signal.SIGCONT)

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.kill()
        self.join()


def _run(module: str, arguments: Sequence[str], folder: Path, changed: Mapping[str, Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.chdir(folder)
    with Path("log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    torch.set_num_threads(3)  # a run sets its own
    for name, value in changed.items():
        owner, _, attribute = name.partition(":")
        setattr(importlib.import_module(owner), attribute, value)
    sys.argv = [module, *arguments]
    importlib.import_module(module).main()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class ExternalCluster(ExitStack):
    """A scheduler and its workers, in folders that are none of the client's.

    Args:
        root: an empty folder for theirs.
        security: options of their command lines for TLS.
    """

    def __init__(self, root: Path, *, security: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.file = root / "scheduler.json"
        self.workers: list[Program] = []
        self.scheduler: Program
        self.address = f"{'tls' if security else 'tcp'}://127.0.0.1:0"
        self._root, self._security = root, security
        self.start_scheduler()
        self.callback(self._end)

    def start_scheduler(self) -> None:
        """Start one, under the address of the one before."""
        self.file.unlink(missing_ok=True)
        self.scheduler = self._start(
            *("scheduler", "--no-dashboard", "--no-show", "--host", self.address),
            *("--scheduler-file", str(self.file)),
        )
        wait_until(self.file.exists, "the scheduler has written its file")
        wait_until(self._read_address, "it is written whole")

    def _read_address(self) -> bool:
        try:
            self.address = json.loads(self.file.read_text())["address"]
        except ValueError:
            return False
        return True

    def start_worker(
        self, *options: str, threads: int = 1, changed: Mapping[str, Any] | None = None
    ) -> Program:
        worker = self._start(
            *("worker", self.address, "--no-nanny", "--no-dashboard", "--memory-limit", "0"),
            *("--nthreads", str(threads), "--host", "127.0.0.1", *options),
            changed=changed,
        )
        self.workers.append(worker)
        return worker

    def client(self) -> Client:
        """For the tests' own questions."""
        return Client(self.address, set_as_default=False)

    def await_workers(self, count: int) -> None:
        with self.client() as client:
            client.wait_for_workers(count, timeout=60)

    def _start(self, kind: str, *options: str, changed: Mapping[str, Any] | None = None) -> Program:
        folder = self._root / f"{kind}-{len(self.workers)}"
        folder.mkdir(exist_ok=True)
        arguments = (*options, *self._security)
        return Program(f"distributed.cli.dask_{kind}", arguments, folder, changed)

    def _end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.end()


def wait_until(holds: Callable[[], Any], what: str, seconds: float = 180.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


def workers() -> list[psutil.Process]:
    """The worker processes of this one, those that are still starting among them."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if _is_worker(child)]


def _is_worker(child: psutil.Process) -> bool:
    """Also of processes that a fork server has made, whose command lines are its own."""
    try:
        called, above = (" ".join(each.cmdline()) for each in (child, child.parent()))
    except (psutil.NoSuchProcess, AttributeError):  # it has just ended
        return False
    return "spawn_main" in called or ("forkserver" in called and called == above)


def kill_first(seconds: float) -> None:
    """Kill a worker as soon as it is there and has this age."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for worker in workers():
            if time.time() - worker.create_time() >= seconds:
                worker.kill()
                return
        time.sleep(0.02)
