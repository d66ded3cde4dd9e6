"""What a Dask scheduler keeps of tasks that are done and forgotten."""

from __future__ import annotations

import itertools
import queue
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from distributed import Client, Future

TASKS = 100_000
IN_FLIGHT = 60
ARGUMENT = b"." * 1500
"""About as large as a task of a large raster."""


def _nothing(_: bytes, number: int) -> int:
    return number


@contextmanager
def _program(name: str, *arguments: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def scheduler_growth(folder: Path) -> None:
    """Submit many tiny tasks, few at once, to a scheduler in a process of its own."""
    file = folder / "scheduler.json"
    address = ["--scheduler-file", str(file)]
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            _program("scheduler", *address, "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
        )
        while not file.exists():
            time.sleep(0.1)
        stack.enter_context(
            _program("worker", *address, "--no-nanny", "--nthreads", "2", "--no-dashboard")
        )
        client = stack.enter_context(Client(scheduler_file=str(file), set_as_default=False))
        client.wait_for_workers(1, timeout=60)
        started = time.perf_counter()
        held = {0: scheduler.memory_info().rss}
        numbers = iter(range(TASKS))
        done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        for number in itertools.islice(numbers, IN_FLIGHT):
            _submit(client, number, done)
        for ended in range(1, TASKS + 1):
            done.get()
            for number in itertools.islice(numbers, 1):
                _submit(client, number, done)
            if ended % (TASKS // 10) == 0:
                held[ended] = scheduler.memory_info().rss
        seconds = time.perf_counter() - started
    first = TASKS // 10
    late = (held[TASKS] - held[first]) / (TASKS - first)
    print(
        f"scheduler: {TASKS} tasks in {seconds:.0f} s, "
        f"{[round(size / 2**20) for size in held.values()]} MiB after each tenth; "
        f"{(held[TASKS] - held[0]) / TASKS:.0f} bytes a task, {late:.0f} after the first tenth",
        flush=True,
    )


def _submit(client: Client, number: int, done: queue.SimpleQueue[Future]) -> None:
    key = f"geoseg-{uuid.uuid4().hex}"
    client.submit(_nothing, ARGUMENT, number, key=key, pure=False).add_done_callback(done.put)
