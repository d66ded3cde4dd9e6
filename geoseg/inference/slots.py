"""Places for tasks in this process: one thread for the network, the others for files."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from geoseg.inference.engine import Process
from geoseg.inference.stories import Lane, Task
from geoseg.memory import trim_heap


class ThreadSlots(ExitStack):
    """The threads of this process; on leaving, tasks that were not begun are dropped.

    Args:
        process: what the tasks are given.
        threads: for files.
        beside: these run beside the network; else one thread does one task at a time.
    """

    def __init__(self, process: Process, threads: int, *, beside: bool = True) -> None:
        super().__init__()
        self._stop = threading.Event()
        self._process = replace(process, stopped=self._stop.is_set)
        self._threads = {"forward": 1, "files": max(1, threads)}
        self._pools = {
            lane: ThreadPoolExecutor(count, f"geoseg-{lane}")
            for lane, count in self._threads.items()
        }
        if not beside:
            self._threads["files"] = 1
            self._pools["files"] = self._pools["forward"]
        for pool in self._pools.values():
            self.callback(pool.shutdown, cancel_futures=True)
        # An interrupt reaches the main thread; the block in flight ends at its next forward.
        self.callback(self._stop.set)

    def capacity(self, lane: Lane) -> int:
        """One task more than there are threads, so that none of these waits for the next."""
        return self._threads[lane] + 1

    def submit(self, lane: Lane, task: Task) -> Future[Any]:
        """Queue a task."""
        return self._pools[lane].submit(self._run, task)

    def _run(self, task: Task) -> Any:
        try:
            return task.function(self._process, *task.arguments)
        finally:
            trim_heap()

    def check(self) -> None:
        """Nothing goes wrong here that the tasks would not raise."""
