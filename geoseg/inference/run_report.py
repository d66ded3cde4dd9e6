"""What became of each input: kept while a run goes on, written as ``report.json`` at its end."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geoseg
from geoseg.errors import GeosegError, OutputError
from geoseg.inference.job import JobResult
from geoseg.inference.keys import key_of
from geoseg.inference.memory import peak_memory
from geoseg.inference.options import PredictOptions
from geoseg.inference.predictor import Options
from geoseg.inference.survey import Job, Surveyor
from geoseg.models import Model
from geoseg.report import Report, finite


class Ledger:
    """The record of one run of ``predict``."""

    def __init__(
        self,
        started: float,
        model: Model,
        options: PredictOptions,
        how: Options,
        surveyor: Surveyor,
    ) -> None:
        self.plan: dict[str, Any] = {}
        self._started = started
        self._inputs: dict[Path, dict[str, Any]] = {}
        self._head = {
            "geoseg": geoseg.__version__,
            "model": {
                "path": None if model.path is None else str(model.path),
                "sha256": model.digest,
                "system": model.card.spec.system,
                "encoder": model.card.spec.encoder,
            },
            "options": {**asdict(options), "device": how.device, "precision": how.precision},
            "fingerprint": key_of(surveyor.settings),
            "threads": surveyor.threads,
        }
        self._workers = options.workers
        self._worker_memory = 0

    @property
    def failures(self) -> list[str]:
        """One line for each input that was refused or failed."""
        return [entry["error"] for entry in self._inputs.values() if "error" in entry]

    def refuse(self, path: Path, error: GeosegError) -> None:
        """Note an input that cannot be used."""
        self._inputs[path] = {
            "path": str(path),
            "status": "refused",
            "error": _one_line(error),
            "warnings": [],
        }

    def accept(self, job: Job, warnings: list[str]) -> None:
        """Note an input that will be run."""
        self._inputs[job.source.path] = {
            "path": str(job.source.path),
            "status": "not begun",
            "warnings": warnings,
        }

    def fail(self, job: Job, error: GeosegError) -> None:
        """Note an input whose run failed."""
        self._inputs[job.source.path] |= {"status": "failed", "error": _one_line(error)}

    def interrupt(self, job: Job) -> None:
        """Note the input in whose run the user stopped."""
        self._inputs[job.source.path] |= {"status": "interrupted"}

    def done(self, job: Job, result: JobResult) -> None:
        """Note an input whose outputs stand."""
        entry = self._inputs[job.source.path]
        entry |= {
            "status": result.status,
            "outputs": {kind: str(path) for kind, path in result.outputs.items()},
            "fingerprints": result.keys,
            "windows": result.windows,
            "forwards": result.forwards,
            "pixels": result.pixels,
            "uncertain_pixels": result.uncertain,
            "nodata_pixels": result.nodata,
            "seconds": {stage: round(value, 3) for stage, value in result.seconds.items()},
        }
        self._worker_memory = max(self._worker_memory, result.worker_memory)
        if not result.uncertain and not any(result.pixels.values()):
            entry["warnings"].append(
                f"{job.source.path}: no valid pixel; all of the output is nodata"
            )

    def data(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        inputs = list(self._inputs.values())
        stages = ("forward", "predict", "files", "polygons")
        seconds = {
            stage: sum(entry.get("seconds", {}).get(stage, 0.0) for entry in inputs)
            for stage in stages
        }
        seconds["total"] = time.perf_counter() - self._started
        return {
            **self._head,
            "plan": self.plan,
            "inputs": inputs,
            "windows": sum(entry.get("windows", 0) for entry in inputs),
            "forwards": sum(entry.get("forwards", 0) for entry in inputs),
            "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
            "peak_memory_bytes": peak_memory() + self._workers * self._worker_memory,
            "warnings": [line for entry in inputs for line in entry["warnings"]],
            "failures": self.failures,
        }

    def write(self, path: Path) -> None:
        """Write the report in one step."""
        temporary = path.with_name(f".{path.name}-{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(finite(self.data()), indent=2, allow_nan=False) + "\n")
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); free the disk"
            ) from error

    def report(self, *, dry_run: bool = False) -> Report:
        """What the command gives back."""
        data = self.data()
        if dry_run:
            return Report("dry run: nothing was written", data, 1 if self.failures else 0)
        counts = {
            status: sum(1 for entry in data["inputs"] if entry["status"] == status)
            for status in ("done", "kept", "refused", "failed")
        }
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        seconds = data["seconds"]
        text = (
            f"{told} in {seconds['total']:.1f} s ({seconds['forward']:.1f} s of it in the network)"
        )
        return Report(text, finite(data), 1 if self.failures else 0)


def _one_line(error: GeosegError) -> str:
    return " ".join(str(error).split())
