"""Worker processes: started again when they die, deaf to Ctrl-C, gone at the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import psutil
import pytest

from geoseg.inference.cluster import local_cluster


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


def process_of(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.mark.parametrize("age", [0.0, 0.7])
def test_a_worker_that_is_killed_while_it_starts_is_started_again(age: float) -> None:
    killer = threading.Thread(target=kill_first, args=(age,))
    killer.start()
    with local_cluster(2) as client:
        killer.join()
        ran_on = client.gather(client.map(process_of, range(40), pure=False))
        assert len(set(ran_on)) == 2
    assert not psutil.wait_procs(workers(), timeout=20)[1]


def test_a_worker_that_is_killed_in_its_work_leaves_it_to_the_others() -> None:
    with local_cluster(2) as client:
        futures = client.map(process_of, range(40), pure=False)
        kill_first(0.0)
        assert len(client.gather(futures)) == 40


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked")
def test_ctrl_c_never_reaches_a_worker_while_it_starts_or_later() -> None:
    def blocked() -> tuple[bool, Any]:
        # What is asked to change nothing tells what is blocked.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, set())
        return signal.SIGINT in mask, signal.getsignal(signal.SIGINT)

    with local_cluster(1) as client:
        assert client.run(blocked).popitem()[1] == (True, signal.SIG_IGN)
        assert not blocked()[0], "this process still hears it"
        (worker,) = workers()
        worker.kill()
        client.wait_for_workers(1, timeout=60)
        while [each.pid for each in workers()] in ([], [worker.pid]):
            time.sleep(0.1)
        assert client.submit(blocked).result(timeout=60)[0]
