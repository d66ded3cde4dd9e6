"""A pool that sleeps, beside which others do not spin."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
import torch

from geoseg.inference.openmp import let_others_sleep


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_a_thread_has_a_pool_of_its_own_afterwards() -> None:
    counts: list[int] = []

    def count() -> None:
        torch.set_num_threads(2)
        tasks = Path("/proc/self/task")
        counts.append(len(list(tasks.iterdir())))
        let_others_sleep()
        counts.append(len(list(tasks.iterdir())))

    before = torch.get_num_threads()
    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    torch.set_num_threads(before)
    assert counts[1] == counts[0] + 1
