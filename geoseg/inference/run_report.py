"""The outcome of each input: a line while the run goes on, ``report.json`` at its end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.classes import NODATA, UNCERTAIN
from geoseg.errors import GeosegError, RunError
from geoseg.failures import not_done
from geoseg.files import replace_file
from geoseg.foreign import name_of
from geoseg.inference.area_table import ClassAreas, areas_of_sheets, areas_of_zones
from geoseg.inference.keys import key_of
from geoseg.inference.line_stream import LineStream, line_stream, remove_lines
from geoseg.inference.options import PredictOptions
from geoseg.inference.outputs import by_kind
from geoseg.inference.probe import peak_memory
from geoseg.inference.results import PredictReport
from geoseg.inference.run_faults import RunFaults
from geoseg.inference.survey import RasterJob, Survey
from geoseg.locks import WORK_FOLDER
from geoseg.places import AnyPath
from geoseg.raster import FoundSources
from geoseg.report import finite

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun
    from geoseg.inference.sheet import RasterResult

_STAGES = ("forward", "predict", "files", "polygons")

REPORT, STREAM = "report.json", "report.jsonl"
"""The second in the folder of unfinished parts, while a run goes on and after one was killed."""


class RunReport:
    """The record of one run of ``predict``.

    Args:
        options: of the run.
        started: when it began, of ``time.perf_counter``.
    """

    def __init__(self, options: PredictOptions, started: float) -> None:
        self.plan: dict[str, Any] = {}
        """What the run was planned to take; empty where no window was left to run."""
        self._finished: dict[Path, tuple[Survey, list[ClassAreas]]] = {}
        self._options = options
        self._classes: Sequence[str] = ()
        self._facts: dict[str, Any] = {}
        self._started = started
        self._inputs: dict[Path, dict[str, Any]] = {}
        self._processes = 0
        self._worker_memory = 0
        self._of_workers: list[str] = []
        self._repeated: list[str] = []
        self._own: list[str] = []
        self._passed_over: list[str] = []
        self._faults = RunFaults()
        self._zones: dict[str, Any] = {}
        self._of_files: list[str] = []
        self._stream: LineStream | None = None

    @contextmanager
    def streaming(self, path: AnyPath) -> Iterator[None]:
        """Write each outcome to a file as it comes, one line of JSON for each input.

        Those that are known are written first. The file goes when `write` has written all of them.

        Raises:
            OutputError: the file cannot be written.
        """
        with line_stream(path) as self._stream:
            try:
                for entry in self._inputs.values():
                    if entry["status"] != "not begun":
                        self._tell(entry)
                yield
            finally:
                self._stream = None

    def _tell(self, entry: dict[str, Any]) -> None:
        if self._stream is not None:
            self._stream.write(_line(entry))

    def begin(self, run: PredictRun, imports: float = 0.0) -> None:
        """Note what all rasters share, now that it is there.

        Args:
            run: model, device and settings.
            imports: seconds that importing took, which are none of the run's.
        """
        self._started += imports
        self._classes = run.model.card.classes.names
        self._processes = run.processes
        forward, model = run.forward, run.model
        self._facts = {
            "geoseg": geoseg.__version__,
            "model": {
                "path": None if model.path is None else str(model.path),
                "sha256": model.digest,
                "system": model.card.spec.system,
                "encoder": model.card.spec.encoder,
            },
            "options": {
                **asdict(run.options),
                "encode": "window" if run.options.sharing(model.card) is None else "shared",
                "device": forward.device,
                "precision": forward.precision,
            },
            "fingerprint": key_of(run.settings),
            "threads": run.threads,
        }
        if run.agreement is not None and run.agreement.warning:
            self._of_workers = [run.agreement.warning]
        if run.gpus:
            self._facts["gpus"] = list(run.gpus)
        if run.cluster is not None:
            self._of_workers += run.cluster.warnings
            self._facts["workers"] = [asdict(worker) for worker in run.cluster.workers]

    @property
    def finished(self) -> list[tuple[Survey, list[ClassAreas]]]:
        """Inputs whose outputs are complete, in their order, and what classes cover on them."""
        return [self._finished[path] for path in self._inputs if path in self._finished]

    @property
    def failures(self) -> list[str]:
        """One line for each input that was refused or failed, and for what stopped the run."""
        of_inputs = [entry["error"] for entry in self._inputs.values() if "error" in entry]
        return of_inputs + self._faults.lines

    def leave_out(self, found: FoundSources) -> None:
        """Note all that was found and is no input, with the reasons."""
        for path, line in found.failures.items():
            self.refuse(path, line)
        self._repeated = found.repeated
        self._own = found.own

    def pass_over(self, line: str) -> None:
        """Note an input that nothing is wanted of."""
        self._passed_over.append(line)

    def refuse(self, path: Path, line: str) -> None:
        """Note why an input cannot be used."""
        self._inputs[path] = {
            "path": name_of(path),
            "status": "refused",
            "warnings": [],
            "error": line,
        }

    def accept(self, job: RasterJob, warnings: list[str]) -> None:
        """Note an input that will be run."""
        path = job.source.path
        self._inputs[path] = {"path": str(path), "status": "not begun", "warnings": warnings}

    def fail(self, job: RasterJob, line: str) -> None:
        """Note why the run of an input failed."""
        self._inputs[job.source.path] |= {"status": "failed", "error": line}
        self._tell(self._inputs[job.source.path])

    def stop(self, error: RunError) -> None:
        """Note a fault of the run itself that has stopped it, and what it has not done."""
        self._faults.note(error, self.failures)
        waiting = [
            entry["path"]
            for entry in self._inputs.values()
            if entry["status"] in ("interrupted", "not begun")
        ]
        self._faults.lines += not_done(waiting)

    def interrupt(self, job: RasterJob) -> None:
        """Note an input that was begun when the run was stopped."""
        self._inputs[job.source.path] |= {"status": "interrupted"}

    def finish(self, survey: Survey, result: RasterResult) -> None:
        """Note an input whose outputs are complete."""
        path, counts = survey.job.source.path, result.counts
        pixels = {name: int(counts[index]) for index, name in enumerate(self._classes)}
        entry = self._inputs[path]
        entry |= {
            "status": "done" if survey.missing else "kept",
            "outputs": by_kind(survey.outputs, [str(each.path) for each in survey.outputs]),
            "fingerprints": by_kind(survey.outputs, [each.key for each in survey.outputs]),
            "windows": len(survey.job.grid),
            "forwards": result.forwards,
            "cells": result.cells,
            "pixels": pixels,
            "uncertain_pixels": int(counts[UNCERTAIN]),
            "nodata_pixels": int(counts[NODATA]),
            "areas_m2": areas_of_sheets(result.areas, self._classes),
            "seconds": _rounded(result.seconds),
        }
        if self._options.zones is not None:
            entry["zones"] = areas_of_zones(result.areas, self._classes)
            if survey.job.source.crs is None:
                entry["warnings"].append(f"{path}: is in no zone, as it has no coordinate system")
        self._finished[path] = survey, result.areas
        if self._processes:
            self._worker_memory = max(self._worker_memory, result.process_memory)
        if not entry["uncertain_pixels"] and not any(pixels.values()):
            entry["warnings"].append(f"{path}: no valid pixel; all of the output is nodata")
        self._tell(entry)

    def note_zones(self, facts: dict[str, Any]) -> None:
        """Note what was measured in zones on all inputs."""
        self._zones = {"zones": facts}

    def warn(self, lines: Sequence[str]) -> None:
        """Note what users should know about files of all inputs together."""
        self._of_files += lines

    def data(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        inputs = list(self._inputs.values())
        spent = [entry.get("seconds", {}) for entry in inputs]
        seconds = {stage: sum(each.get(stage, 0.0) for each in spent) for stage in _STAGES}
        seconds["total"] = time.perf_counter() - self._started
        return {
            **self._facts,
            "plan": self.plan,
            "windows": sum(entry.get("windows", 0) for entry in inputs),
            "forwards": sum(entry.get("forwards", 0) for entry in inputs),
            "cells": sum(entry.get("cells", 0) for entry in inputs),
            "seconds": _rounded(seconds),
            "peak_memory_bytes": peak_memory() + self._processes * self._worker_memory,
            "warnings": [
                *self._of_workers,
                *self._repeated,
                *(line for entry in inputs for line in entry["warnings"]),
                *self._of_files,
            ],
            "left_out": [*self._repeated, *self._own, *self._passed_over],
            "failures": self.failures,
            **self._zones,
            "inputs": inputs,
        }

    def write(self, path: AnyPath) -> None:
        """Write the report as JSON; where it cannot be written, that is one more failure.

        Each input is one line, last of all: so that 100,000 of them can be read and searched.
        """
        data = self.data()
        inputs = data.pop("inputs")
        head = json.dumps(finite(data), indent=2, allow_nan=False)
        with self.noting_failures():
            with replace_file(path) as built, built.open("w", encoding="utf-8") as file:
                file.write(head.removesuffix("\n}") + ',\n  "inputs": [')
                for index, entry in enumerate(inputs):
                    file.write(f"{',' * (index > 0)}\n    {_line(entry)}")
                file.write("\n  ]\n}\n")
                file.flush()
                os.fsync(file.fileno())
            remove_lines(path.parent / WORK_FOLDER / STREAM)

    @contextmanager
    def noting_failures(self) -> Iterator[None]:
        """Note an error that concerns no input, and go on."""
        try:
            yield
        except GeosegError as error:
            self._faults.note(error)

    def to_report(self) -> PredictReport:
        """What the command returns."""
        data = self.data()
        exit_code = 1 if self.failures else 0
        if self._options.dry_run:
            return PredictReport("dry run: nothing was written", finite(data), exit_code)
        statuses = [entry["status"] for entry in data["inputs"]]
        counted = [
            f"{statuses.count(status)} {status}"
            for status in ("done", "kept", "refused", "failed", "interrupted", "not begun")
            if status in statuses
        ]
        seconds = data["seconds"]
        text = (
            f"{', '.join(counted)} in {seconds['total']:.1f} s "
            f"({seconds['forward']:.1f} s of it in the network)"
        )
        return PredictReport(text, finite(data), exit_code)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(finite(entry), allow_nan=False)


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in seconds.items()}
