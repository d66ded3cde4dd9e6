"""Runs of ``predict --scheduler`` while workers are killed and frozen and schedulers killed."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import geoseg
from tests.chaos.processes import ExternalCluster, wait_until
from tests.kills.jobs import Snapshot, snapshot, write_inputs

WORKERS = 2
_OPTIONS = {"device": "cpu", "precision": "fp32", "block": 40, "vectors": "gpkg"}
_SILENT_SECONDS = 4
"""After which the client takes a worker for frozen; a minute, if it is not hurried."""
_PROGRAM = f"""
from geoseg.inference import cluster_slots
cluster_slots.SILENT_SECONDS = {_SILENT_SECONDS}
cluster_slots.RECONNECT_SECONDS = 60
from geoseg.inference import cluster
cluster.CONNECT_SECONDS = 60
from geoseg.cli import main
main()
"""
_IMPATIENT = _PROGRAM.replace("60", "1")


@dataclass
class Campaign:
    """Deaths that are still to come, and what went wrong.

    Args:
        root: an empty folder.
        side: of the rasters, pixels.
        worker_deaths: workers to kill or freeze.
        scheduler_deaths: schedulers to kill.
        seed: of the moments and victims.
    """

    root: Path
    side: int
    worker_deaths: int
    scheduler_deaths: int
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
                self._predict_disturbed(undisturbed)
                yield (
                    f"run {self.runs}: {workers - self.worker_deaths} workers and "
                    f"{schedulers - self.scheduler_deaths} schedulers dead, "
                    f"{len(self.faults)} faults"
                )

    def _undisturbed(self) -> Snapshot:
        out = self.root / "run"
        geoseg.predict(
            self.root / "inputs/images", self.root / "inputs/model0.safetensors", out=out,
            **_OPTIONS,
        )  # fmt: skip
        found = _files(out)
        shutil.rmtree(out)
        return found

    def _predict_disturbed(self, undisturbed: Snapshot) -> None:
        """One run from nothing to its end, by as many calls as it takes."""
        self.runs += 1
        out = self.root / "run"
        code = None
        while code != 0:
            code = self._call_disturbed(out)
            # A block that three workers died of fails its sheet; it may be the kills' fault too.
            if code not in (0, 1, 130):
                self.faults.append(f"exit code {code}")
                break
        found = _files(out)
        names = found.keys() | undisturbed.keys()
        wrong = sorted(name for name in names if found.get(name) != undisturbed.get(name))
        if wrong:
            self.faults.append(f"run {self.runs}: other than undisturbed: {', '.join(wrong)}")
        if (out / ".geoseg").exists():
            self.faults.append(f"run {self.runs}: parts are left")
        shutil.rmtree(out)

    def _call_disturbed(self, out: Path) -> int:
        """The exit code of one call, during which something dies once or more often."""
        kills_scheduler = self.scheduler_deaths > 0 and (
            not self.worker_deaths or self._chance.random() < 0.5
        )
        comes_back = self._chance.random() < 0.5
        program = _PROGRAM if comes_back or not kills_scheduler else _IMPATIENT
        process = self._start(program, out)
        parts = out / ".geoseg"
        wait_until(lambda: process.poll() is not None or _any_part(parts), "a first part")
        time.sleep(self._chance.random())
        while process.poll() is None:
            if kills_scheduler and self.scheduler_deaths:
                self._kill_scheduler(process, comes_back=comes_back)
                kills_scheduler = False
            elif self.worker_deaths:
                self._disturb_worker()
            time.sleep(0.3 + self._chance.random())
        self._revive()
        return process.returncode

    def _start(self, program: str, out: Path) -> subprocess.Popen[bytes]:
        inputs = self.root / "inputs"
        options = [part for name, value in _OPTIONS.items() for part in (f"--{name}", str(value))]
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-c", program, "predict", str(inputs / "images"), "--quiet"),
                    *("--model", str(inputs / "model0.safetensors"), "--out", str(out)),
                    *("--scheduler", self._cluster.address, *options),
                ],
                stdout=log,
                stderr=log,
            )

    def _disturb_worker(self) -> None:
        alive = [worker for worker in self._cluster.workers if worker.poll() is None]
        if not alive:
            return
        victim = self._chance.choice(alive)
        self.worker_deaths -= 1
        if self._chance.random() < 0.7:
            victim.kill()
            victim.wait()
        else:
            victim.send_signal(signal.SIGSTOP)
        self._cluster.start_worker()

    def _kill_scheduler(self, process: subprocess.Popen[bytes], *, comes_back: bool) -> None:
        self.scheduler_deaths -= 1
        self._cluster.scheduler.kill()
        self._cluster.scheduler.wait()
        if not comes_back:
            wait_until(lambda: process.poll() is not None, "the end of a client that lost it")
        self._revive()

    def _revive(self) -> None:
        """A scheduler, and workers that are neither dead, frozen nor without scheduler."""
        lost = self._cluster.scheduler.poll() is not None
        for worker in self._cluster.workers:
            if lost or _is_frozen(worker):
                worker.kill()
                worker.wait()
        if lost:
            self._cluster.start_scheduler()
        alive = [worker for worker in self._cluster.workers if worker.poll() is None]
        self._cluster.workers[:] = alive
        for _ in range(WORKERS - len(alive)):
            self._cluster.start_worker()


def _is_frozen(worker: subprocess.Popen[bytes]) -> bool:
    status = Path(f"/proc/{worker.pid}/status")
    return status.exists() and "T (stopped)" in status.read_text(encoding="utf-8")


def _any_part(parts: Path) -> bool:
    return next(parts.rglob("*-classes.tif"), None) is not None


def _files(out: Path) -> Snapshot:
    """What a run leaves; its report names the workers."""
    found = snapshot(out)
    found.pop("report.json", None)
    return {name: content for name, content in found.items() if not name.endswith(".gpkg")}
