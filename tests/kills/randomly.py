"""Jobs killed at random moments: the process itself, or one of its workers."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.kills.jobs import Job, Snapshot, all_jobs, predict, snapshot, write_inputs
from tests.kills.points import Verdict
from tests.kills.processes import preload, start, wait

_END = 20
"""Seconds that orphaned workers have to notice that they are."""


def kill_randomly(folder: Path, kills: int, seed: int) -> Iterator[Verdict]:
    """Kill jobs at random moments, continue them, and compare with undisturbed runs."""
    os.environ["OGR_CURRENT_DATE"] = "2020-01-01T00:00:00Z"
    preload()
    write_inputs(folder / "inputs", 200)
    with_workers = predict(folder / "inputs", workers=2, block=64, encode="window", vectors="gpkg")
    jobs = [*all_jobs(folder / "inputs"), *[Job("predict with workers", with_workers)] * 3]
    chance = random.Random(seed)
    shares = [len(range(index, kills, len(jobs))) for index in range(len(jobs))]
    for index, (job, share) in enumerate(zip(jobs, shares, strict=True)):
        yield from _kill_job(job, folder / f"out{index}", share, chance)


def _kill_job(job: Job, folder: Path, kills: int, chance: random.Random) -> Iterator[Verdict]:
    out, kept = folder / "run0", folder / "older"
    kept.mkdir(parents=True)
    if job.before is not None:
        assert wait(start(lambda: job.before(out))) == 0  # type: ignore[misc]
        shutil.copytree(out, kept, dirs_exist_ok=True)
    began = time.perf_counter()
    assert wait(start(lambda: job.run(out))) == 0
    seconds, new = time.perf_counter() - began, snapshot(out)
    finished = True
    for number in range(kills):
        if finished:  # else the next kill meets what the last one has left
            shutil.rmtree(out)
            if job.before is not None:
                shutil.copytree(kept, out)
        delay = chance.uniform(0, seconds)
        place = f"{job.name}, kill {number} after {delay:.2f} of {seconds:.2f} s"
        victim = _kill(job, out, delay, chance)
        finished = chance.random() < 0.6 or number == kills - 1
        faults = tuple(_faults(job, out, new)) if finished else ()
        yield Verdict(f"{place}, {victim}", faults)


def _kill(job: Job, out: Path, delay: float, chance: random.Random) -> str:
    """Kill the process or one of its workers, and wait for their end; what was killed."""
    process = start(lambda: job.run(out))
    time.sleep(delay)
    with suppress(psutil.NoSuchProcess):
        main = psutil.Process(process)
        workers = main.children(recursive=True)
        victim = chance.choice([main, *workers])
        victim.send_signal(signal.SIGKILL)
        code = wait(process)  # without one of its workers, it goes on
        _, alive = psutil.wait_procs(workers, timeout=_END)
        for worker in alive:
            worker.kill()
        what = "the process" if victim is main else "a worker"
        return f"{what} killed, ended with {code}" + (f", {len(alive)} left" if alive else "")
    wait(process)
    return "ended before"


def _faults(job: Job, out: Path, new: Snapshot) -> Iterator[str]:
    if code := wait(start(lambda: job.run(out))):
        yield f"the next run ended with {code}"
    found = snapshot(out)
    for name in sorted(found.keys() | new.keys()):
        if found.get(name) != new.get(name):
            yield f"{'differs or missing' if name in new else 'litter'}: {name}"
