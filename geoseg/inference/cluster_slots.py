"""Places for tasks in the workers of a Dask cluster, which may die, freeze, join and be lost.

A task that a worker did not finish is sent again, as parts on disk are the only state and a task
may run twice. Dask repeats what was on a worker that ended, four times at most; what it gives up,
and what a frozen worker holds, is sent again here.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from typing import Any

from distributed import CancelledError, KilledWorker
from distributed.protocol import pickle

from geoseg.errors import GeosegError, RunError, SchedulerLostError
from geoseg.inference.agreement import GPU
from geoseg.inference.flight import DEATHS, Flight
from geoseg.inference.roll_call import SCHEDULER_GONE, flaws_of, known_workers, silent_workers
from geoseg.inference.stories import Lane, Task
from geoseg.inference.worker import RefusedWorkerError, RemoteCall, RemoteRun, stop, topic_of
from geoseg.inference.worker_facts import hidden_file

WORKERLESS_SECONDS = 300.0
"""After which a cluster without a worker counts as lost."""
RECONNECT_SECONDS = 15.0
"""That a scheduler may be away; Dask itself tries `cluster.CONNECT_SECONDS` long."""
_LOOK_SECONDS = 1.0
_FETCH_SECONDS = 10.0
"""For a result that was not told of, as the scheduler was away."""
_STOP_SECONDS = 5.0


class ClusterSlots(ExitStack):
    """The workers of a Dask cluster; on leaving, their blocks end at their next forward.

    Args:
        client: a `distributed.Client`.
        run: what the workers make of themselves.
        on_window: called in this process with the number of windows done.
        note: called with lines about workers.
    """

    def __init__(
        self,
        client: Any,
        run: RemoteRun,
        on_window: Callable[[int], None],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._client, self._run = client, run
        self._on_window, self._note = on_window, note
        self._flights: dict[str, Flight] = {}
        """By the key of their latest try."""
        self._lock = threading.RLock()
        self._workers: dict[str, Any] = {}
        self._refused: dict[str, str] = {}
        self._frozen: dict[str, list[str]] = {}
        """The keys of the tasks that were taken from frozen workers."""
        self._looked = self._peopled = time.monotonic()
        self._closing = False
        self._subscribe()
        self._look()
        self.callback(self._end)

    def capacity(self, lane: Lane) -> int:
        """Of three tasks a worker process, two are for the network."""
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self.check()
        usable = self._usable()
        blocks = [each for each in usable if GPU in self._workers[each]["resources"]]
        on = blocks if lane == "forward" and self._run.on_gpus else usable
        return (2 if lane == "forward" else 1) * max(1, len(on))

    def submit(self, lane: Lane, task: Task) -> Future[Any]:
        """Send a task to the cluster; files come first there, as they end a raster."""
        flight = Flight(lane, task)
        self._send(flight)
        return flight.done

    def check(self) -> None:
        """Look for workers that came, went and froze.

        Raises:
            SchedulerLostError: the scheduler is gone, or has had no worker for long.
            RunError: no worker is left that may run tasks.
        """
        self._await_scheduler()
        self._look()
        if self._workers:
            self._peopled = time.monotonic()
        elif time.monotonic() - self._peopled > WORKERLESS_SECONDS:
            raise SchedulerLostError(
                f"the cluster has had no worker for {WORKERLESS_SECONDS:.0f} s; start some, and "
                "the same command continues"
            )
        if self._workers and self._refused.keys() >= self._workers.keys():
            address, reason = next(iter(self._refused.items()))
            raise RunError(f"no worker can take part: {address} {reason}; start others")
        self._watch_the_frozen()
        with self._lock:
            lost = {key: each for key, each in self._flights.items() if len(each.begun) > DEATHS}
            for key in lost:
                del self._flights[key]
        self._cancel(lost.values())
        for flight in lost.values():
            flight.give_up()

    def _usable(self) -> list[str]:
        return [each for each in self._workers if each not in self._refused | self._frozen]

    def _send(self, flight: Flight) -> None:
        # Dask balances its workers by what tasks of a name before the hyphen took.
        key = f"{flight.task.function.__name__}-{uuid.uuid4().hex}"
        # Only where some may not run it: names of all workers would make a task large.
        flight.only = self._usable() if self._refused or self._frozen else []
        on_gpu = flight.lane == "forward" and self._run.on_gpus
        with self._lock:
            flight.answer, flight.before = None, len(flight.begun)
            self._flights[key] = flight
            flight.sent = self._client.submit(
                pickle.loads,
                pickle.dumps(RemoteCall(self._run, flight.lane, flight.task)),
                key=key,
                workers=flight.only or None,
                resources={GPU: 1} if on_gpu else None,
                priority=0 if flight.lane == "forward" else 1,
            )
        flight.sent.add_done_callback(lambda sent: self._ended(flight, sent))

    def _ended(self, flight: Flight, sent: Any) -> None:
        """A try is over, in a thread of Dask's: hand on what came of it, or try again."""
        with self._lock:
            if self._closing or self._flights.get(sent.key) is not flight:
                return  # another try has taken its place
            del self._flights[sent.key]
        try:
            if sent.status == "finished" and flight.answer is not None:
                result, passed = pickle.loads(flight.answer)
            else:
                result, passed = sent.result(timeout=_FETCH_SECONDS)
        except Exception as error:
            self._failed(flight, error)
        else:
            self._passed(flight, passed)
            flight.done.set_result(result)

    def _failed(self, flight: Flight, error: Exception) -> None:
        """Try again what was not the task's own fault."""
        try:
            if isinstance(error, RefusedWorkerError):
                if error.unread is not None and hidden_file(error.unread[:1]):
                    raise error.unread[1]  # nobody can read it any more
                self._refuse(error.address, error.reason)
                flight.begun = [each for each in flight.begun if each != error.address]  # it lives
            elif isinstance(error, CancelledError):  # by a scheduler that was away
                self._await_scheduler()
                self._subscribe()
                flight.begun.clear()
            elif isinstance(error, TimeoutError):  # who has the result does not answer
                pass
            elif isinstance(error, KilledWorker):
                if len(flight.begun) == flight.before:  # it died before it could tell
                    flight.begun.append(error.last_worker.address)
            # What a worker cannot unpickle says so in many ways.
            elif isinstance(error, GeosegError) or not self._refuse_by_geoseg():
                raise error
            if len(flight.begun) >= DEATHS:
                flight.give_up()
            else:
                self._send(flight)
        except Exception as final:
            flight.done.set_exception(final)

    def _refuse(self, address: str, reason: str) -> None:
        with self._lock:
            known = address in self._refused
            self._refused[address] = reason
        if not known:
            self._note(f"worker {address} {reason}; it gets no task")

    def _heard(self, event: tuple[float, tuple[str, str, Any]]) -> None:
        """Something of a task, in the thread of Dask's event loop, which must not wait."""
        kind, key, value = event[1]
        flight = self._flights.get(key)
        if flight is None:
            return
        if kind == "begun":
            flight.begun.append(value)
        elif kind == "ended":
            flight.answer = value
        else:
            self._passed(flight, value)

    def _passed(self, flight: Flight, passed: int) -> None:
        with self._lock:
            more = passed - flight.passed
            flight.passed = max(passed, flight.passed)
        if more > 0:
            self._on_window(more)

    def _refuse_by_geoseg(self) -> bool:
        """Whether workers joined whose geoseg is of no use; they get no further task."""
        workers = known_workers(self._client)
        flaws = flaws_of(self._client, workers.keys() - silent_workers(workers))
        wrong = {address: flaw for address, flaw in flaws.items() if flaw}
        for address, flaw in wrong.items():
            self._refuse(address, flaw)
        return bool(wrong)

    def _await_scheduler(self) -> None:
        """Wait while a lost scheduler may come back.

        Raises:
            SchedulerLostError: it did not.
        """
        deadline = time.monotonic() + RECONNECT_SECONDS
        while self._client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._client.status != "running":
            raise SchedulerLostError(SCHEDULER_GONE)

    def _look(self) -> None:
        self._workers = known_workers(self._client)
        self._looked = time.monotonic()

    def _watch_the_frozen(self) -> None:
        """Send what a frozen worker holds to others; once it wakes, it is not to finish that."""
        for gone in self._frozen.keys() - self._workers.keys():
            del self._frozen[gone]
        all_silent = silent_workers(self._workers)
        for address in self._workers:
            silent = address in all_silent
            if silent and address not in self._frozen:
                self._frozen[address] = list(self._client.processing([address])[address])
                self._note(f"worker {address} is silent; others run what it had")
                self._take_back(self._frozen[address])
            elif not silent and address in self._frozen:
                self._tell_to_stop(self._frozen.pop(address), [address])
        # Dask lets a task wait for ever for those that alone may run it.
        usable = set(self._usable())
        with self._lock:
            stranded = [
                key
                for key, flight in self._flights.items()
                if flight.only and usable.isdisjoint(flight.only)
            ]
        if usable:
            self._take_back(stranded)

    def _take_back(self, keys: list[str]) -> None:
        with self._lock:
            taken = [self._flights.pop(key) for key in keys if key in self._flights]
        self._cancel(taken)
        for flight in taken:
            self._send(flight)

    def _cancel(self, flights: Iterable[Flight]) -> None:
        sent = [flight.sent for flight in flights]
        if sent:  # Dask asks the scheduler for nothing too
            self._client.cancel(sent, force=True)

    def _tell_to_stop(self, names: list[str], workers: list[str]) -> None:
        """Let tasks or runs end at their next forward; a dead worker is not awaited for long."""

        def tell() -> None:
            with suppress(Exception):  # the client is closed meanwhile
                self._client.run(stop, names, workers=workers, on_error="ignore")

        thread = threading.Thread(target=tell, name="geoseg-stop-workers", daemon=True)
        thread.start()
        thread.join(_STOP_SECONDS)

    def _subscribe(self) -> None:
        self._client.subscribe_topic(topic_of(self._run), self._heard)

    def _end(self) -> None:
        with self._lock:
            self._closing = True
            left = list(self._flights.values())
        if self._client.status != "running":
            return
        self._client.unsubscribe_topic(topic_of(self._run))
        if left:
            self._cancel(left)
            self._tell_to_stop([self._run.name], self._usable())
