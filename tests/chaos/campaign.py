"""Runs of ``predict --scheduler`` while workers are killed and frozen and schedulers killed."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geoseg
from tests.chaos.outcome import differences, outcome
from tests.chaos.processes import ExternalCluster, Program, wait_until
from tests.kills.jobs import write_inputs

WORKERS = 2
_OPTIONS = {
    "device": "cpu",
    "precision": "fp32",
    "block": 40,
    "encode": "window",  # else each raster is one window, and one block
    "vectors": "gpkg",
}
_CLUSTER, _SLOTS = "geoseg.inference.cluster", "geoseg.inference.cluster_slots"
_SILENT = {"geoseg.inference.roll_call:SILENT_SECONDS": 4}
"""Seconds after which the client takes a worker for frozen; a minute, if it is not hurried."""
_WAITS = (f"{_SLOTS}:RECONNECT_SECONDS", f"{_CLUSTER}:CONNECT_SECONDS")
_PATIENT = _SILENT | dict.fromkeys(_WAITS, 60)
_IMPATIENT = _SILENT | dict.fromkeys(_WAITS, 1)
_MOST_DISTURBANCES = 5
"""Of a call: its end is to come too."""
_LONGEST_CALL = 600.0
"""Seconds, after which it counts as one that never ends."""
_DEATHS = "workers died while they ran it"
"""What fails a sheet: three deaths in one block, which the kills bring about too."""


@dataclass
class Campaign:
    """Deaths that are still to come, and what went wrong.

    Args:
        root: an empty folder.
        side: of the rasters, pixels.
        worker_deaths: workers to kill or freeze.
        scheduler_deaths: schedulers to kill.
        pause: the longest between two disturbances, seconds; short where the rasters are small.
        seed: of the moments and victims.
    """

    root: Path
    side: int
    worker_deaths: int
    scheduler_deaths: int
    pause: float = 1.0
    seed: int = 0
    faults: list[str] = field(default_factory=list)
    runs: int = 0

    def run(self) -> Iterator[str]:
        """Run until all deaths have happened; a line on each run."""
        self._chance = random.Random(self.seed)
        write_inputs(self.root / "inputs", self.side)
        undisturbed = self._undisturbed()
        workers, schedulers = self.worker_deaths, self.scheduler_deaths
        (self.root / "cluster").mkdir()
        with ExternalCluster(self.root / "cluster") as self._cluster:
            for _ in range(WORKERS):
                self._cluster.start_worker()
            while self.worker_deaths or self.scheduler_deaths:
                known = len(self.faults)
                self._predict_disturbed(undisturbed)
                yield from self.faults[known:]
                yield (
                    f"run {self.runs}: {workers - self.worker_deaths} workers and "
                    f"{schedulers - self.scheduler_deaths} schedulers dead, "
                    f"{len(self.faults)} faults"
                )

    def _undisturbed(self) -> dict[str, Any]:
        out = self.root / "run"
        geoseg.predict(
            self.root / "inputs/images", self.root / "inputs/model0.safetensors", out=out,
            **_OPTIONS,
        )  # fmt: skip
        found = outcome(out)
        shutil.rmtree(out)
        return found

    def _predict_disturbed(self, undisturbed: dict[str, Any]) -> None:
        """One run from nothing to its end, by as many calls as it takes."""
        self.runs += 1
        out = self.root / "run"
        while self._call_disturbed(out):
            pass
        wrong = differences(outcome(out), undisturbed)
        self.faults += [f"run {self.runs}: {line}" for line in wrong]
        shutil.rmtree(out)

    def _call_disturbed(self, out: Path) -> bool:
        """One call, during which something dies or freezes; whether it is to be repeated."""
        kills_scheduler = self.scheduler_deaths > 0 and (
            not self.worker_deaths or self._chance.random() < 0.5
        )
        comes_back = self._chance.random() < 0.5
        loses_it = kills_scheduler and not comes_back
        schedulers = self.scheduler_deaths
        disturbances = self._chance.randrange(1, _MOST_DISTURBANCES + 1)
        process = self._start(_IMPATIENT if loses_it else _PATIENT, out)
        parts = out / ".geoseg"
        wait_until(lambda: not process.is_alive() or _any_part(parts), "a first part")
        time.sleep(self.pause * self._chance.random())
        deadline = time.monotonic() + _LONGEST_CALL
        while process.is_alive():
            if time.monotonic() > deadline:
                process.end()  # exit code -9 is a fault
            if kills_scheduler and self.scheduler_deaths:
                self._kill_scheduler(process, comes_back=comes_back)
                kills_scheduler = False
            elif self.worker_deaths and disturbances:
                self._disturb_worker()
                disturbances -= 1
            time.sleep(0.1 + self.pause * self._chance.random())
        self._revive()
        expected = {0, 1}
        if schedulers > self.scheduler_deaths:  # 2: it died as the client joined it
            expected |= {2, 130} if loses_it else {2}
        failures = self._failures(out) if process.exitcode == 1 else []
        self.faults += [f"run {self.runs}: {line}" for line in failures if _DEATHS not in line]
        if process.exitcode not in expected:
            self.faults.append(f"run {self.runs}: exit code {process.exitcode}")
        return process.exitcode in expected - {0}

    def _failures(self, out: Path) -> list[str]:
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        return [str(line) for line in report["failures"]]

    def _start(self, changed: dict[str, int], out: Path) -> Program:
        inputs = self.root / "inputs"
        options = [part for name, value in _OPTIONS.items() for part in (f"--{name}", str(value))]
        arguments = [
            *("predict", str(inputs / "images"), "--quiet", "--scheduler", self._cluster.address),
            *("--model", str(inputs / "model0.safetensors"), "--out", str(out), *options),
        ]
        return Program("geoseg.cli", arguments, self.root, changed)

    def _disturb_worker(self) -> None:
        frozen = [worker for worker in self._cluster.workers if worker.is_frozen]
        if frozen and self._chance.random() < 0.5:
            self._chance.choice(frozen).wake()
            return
        awake = [worker for worker in self._cluster.workers if worker.is_alive()]
        victim = self._chance.choice(awake)
        self.worker_deaths -= 1
        if self._chance.random() < 0.7:
            victim.end()
        else:
            victim.freeze()
        self._cluster.start_worker()

    def _kill_scheduler(self, process: Program, *, comes_back: bool) -> None:
        self.scheduler_deaths -= 1
        self._cluster.scheduler.end()
        if not comes_back:
            wait_until(lambda: not process.is_alive(), "the end of a client that lost it")
        self._revive()

    def _revive(self) -> None:
        """A scheduler, and workers that are neither dead, frozen nor without scheduler.

        Some that are frozen wake for a moment: what they had is over.
        """
        lost = not self._cluster.scheduler.is_alive()
        for worker in self._cluster.workers:
            if worker.is_frozen and self._chance.random() < 0.5:
                worker.wake()
                time.sleep(1.0)
                worker.end()
            elif lost or worker.is_frozen:
                worker.end()
        if lost:
            self._cluster.start_scheduler()
        alive = [worker for worker in self._cluster.workers if worker.is_alive()]
        self._cluster.workers[:] = alive
        for _ in range(WORKERS - len(alive)):
            self._cluster.start_worker()


def _any_part(parts: Path) -> bool:
    return next(parts.rglob("*-classes.tif"), None) is not None
