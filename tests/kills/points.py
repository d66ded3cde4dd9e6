"""Each job killed at its steps on files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.kills.jobs import Job, Snapshot, all_jobs, snapshot, torn_outputs, write_inputs
from tests.kills.processes import KILLED, count_steps, kill_at, preload, start, wait


@dataclass(frozen=True)
class Verdict:
    """What one kill has shown."""

    place: str
    faults: tuple[str, ...]


def kill_everywhere(folder: Path, points: int | None, jobs: str = "") -> Iterator[Verdict]:
    """Kill jobs at all points, or at so many of each, spread over it."""
    os.environ["OGR_CURRENT_DATE"] = "2020-01-01T00:00:00Z"  # else a GeoPackage holds the time
    preload()
    write_inputs(folder / "inputs", 72)
    for job in all_jobs(folder / "inputs"):
        if re.search(jobs, job.name):
            yield from _kill_job(job, folder / "out" / "run0", points)


def _kill_job(job: Job, out: Path, points: int | None) -> Iterator[Verdict]:
    shutil.rmtree(out.parent, ignore_errors=True)
    kept = out.with_name("older")
    kept.mkdir(parents=True)
    if job.before is not None:
        assert wait(start(lambda: job.before(out))) == 0  # type: ignore[misc]
        shutil.copytree(out, kept, dirs_exist_ok=True)
    old = snapshot(kept)
    steps = count_steps(lambda: job.run(out), out)
    new = snapshot(out)
    kills = [
        (step, torn)
        for step, opens in enumerate(steps)
        for torn in ((False, True) if opens else (False,))
    ]
    if points is not None and points < len(kills):
        chosen = np.linspace(0, len(kills) - 1, points + 2)[1:-1].astype(int)
        kills = [kills[index] for index in chosen]
    for step, torn in kills:
        shutil.rmtree(out, ignore_errors=True)
        if job.before is not None:
            shutil.copytree(kept, out)
        place = f"{job.name}, step {step} of {len(steps)}{', torn' if torn else ''}"
        yield Verdict(place, tuple(_faults(job, out, step, torn, old, new)))


def _faults(
    job: Job, out: Path, step: int, torn: bool, old: Snapshot, new: Snapshot
) -> Iterator[str]:
    code = kill_at(lambda: job.run(out), out, step, torn=torn)
    if code != KILLED:
        yield f"ended with {code}, not killed"
    if job.steady and out.exists():
        yield from (f"torn: {name}" for name in torn_outputs(snapshot(out), old, new))
    if code := wait(start(lambda: job.run(out))):
        yield f"the next run ended with {code}"
    found = snapshot(out)
    for name in sorted(found.keys() | new.keys()):
        if name not in new:
            yield f"litter: {name}"
        elif found.get(name) != new[name]:
            yield f"differs: {name}" if name in found else f"missing: {name}"
