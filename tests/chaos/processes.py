"""A Dask scheduler and workers as processes of their own, as a cluster has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from distributed import Client

ROOT = Path(__file__).parents[2]


class ExternalCluster(ExitStack):
    """A scheduler and its workers, in folders that are none of the client's.

    Args:
        root: an empty folder for theirs.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.file = root / "scheduler.json"
        self._root = root
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes]
        self.port = 0
        self.start_scheduler()
        self.callback(self._end)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Start one, under the address of the one before."""
        self.file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler",
            *("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"),
            *("--scheduler-file", str(self.file)),
        )
        wait_until(self.file.exists, "the scheduler has written its file")
        while not self.port:
            try:
                address = json.loads(self.file.read_text())["address"]
                self.port = int(address.rsplit(":", 1)[1])
            except ValueError:  # half-written
                time.sleep(0.05)

    def start_worker(self, *options: str, threads: int = 1) -> subprocess.Popen[bytes]:
        worker = self._start(
            "worker",
            *(self.address, "--no-nanny", "--no-dashboard", "--nthreads", str(threads)),
            *("--host", "127.0.0.1", "--memory-limit", "0", *options),
        )
        self.workers.append(worker)
        return worker

    def client(self) -> Client:
        """For the tests' own questions."""
        return Client(self.address, set_as_default=False)

    def await_workers(self, count: int) -> None:
        with self.client() as client:
            client.wait_for_workers(count, timeout=60)

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        folder = self._root / f"{kind}-{len(self.workers)}"
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options],
                cwd=folder,
                stdout=log,
                stderr=log,
                env=_environment(),
            )

    def _end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """This package can be imported; torch is asked for threads that are not the client's."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "3"}


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
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False


def kill_first(seconds: float) -> None:
    """Kill a worker as soon as it is there and has this age."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for worker in workers():
            if time.time() - worker.create_time() >= seconds:
                worker.kill()
                return
        time.sleep(0.02)
