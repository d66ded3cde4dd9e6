"""What the client of a run hears of a task while a worker runs it."""

from __future__ import annotations

import time
from typing import Any

from distributed.protocol import pickle

_SECONDS = 1.0


class Heartbeat:
    """Tells the client that a task has begun, and how far it is at most once a second.

    Args:
        worker: Dask's, that runs it.
        topic: under which the client listens.
        key: of the task.
    """

    def __init__(self, worker: Any, topic: str, key: str) -> None:
        self.passed = 0
        self._worker, self._topic, self._key = worker, topic, key
        self._told = time.monotonic()

    def begin(self) -> None:
        """Tell that its turn has come, and where."""
        self._worker.log_event(self._topic, ("begun", self._key, self._worker.address))

    def __call__(self, count: int) -> None:
        """Note windows that were passed."""
        self.passed += count
        now = time.monotonic()
        if now - self._told >= _SECONDS:
            self._told = now
            self._worker.log_event(self._topic, ("passed", self._key, self.passed))

    def end(self, result: Any) -> None:
        """Tell the result too: who fetches it from a worker that has just frozen waits minutes."""
        answer = pickle.dumps((result, self.passed))
        self._worker.log_event(self._topic, ("ended", self._key, answer))
