"""Inputs that are found and checked, alone or with the help of other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from geoseg import look_processes
from geoseg.inference.jobs import find_jobs
from geoseg.inference.options import PredictOptions
from geoseg.inference.run_report import RunReport
from geoseg.look_processes import _Chunks
from geoseg.models.cardfile import card_of
from geoseg.prefetch import look_now


def test_with_helpers_the_same_is_found_and_refused_in_the_same_order(
    make_raster: Callable[..., Path],
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(70):
        crs = ("EPSG:25832", "EPSG:2056", None)[number % 3]
        wrong = number % 11 == 10
        make_raster(f"in/{number:02d}.tif", bands=1 if wrong else 3, seed=number, crs=crs)
    (tmp_path / "in/69.tif").write_bytes(b"no raster")
    card, helped = card_of(model_file, None), []
    look, answered = _Chunks.look, _Chunks.answered

    def slow_look(self: _Chunks[Any, Any], number: int) -> None:
        time.sleep(1.0)  # until the helper has started
        look(self, number)

    def noting(self: _Chunks[Any, Any], number: int, results: Sequence[Any]) -> None:
        helped.append(sum(result is not None for result in results))
        answered(self, number, results)

    def in_the_one_way(
        look: Callable[[Any], Any], inputs: Sequence[Any], *, beside: Any
    ) -> Iterable[Any]:
        """What `look_ahead` chooses where looks are computed."""
        return beside(inputs) if beside else map(partial(look_now, look), inputs)

    monkeypatch.setattr("geoseg.inference.jobs.look_ahead", in_the_one_way)
    monkeypatch.setattr(look_processes, "_CHUNK", 4)
    monkeypatch.setattr(_Chunks, "look", slow_look)
    monkeypatch.setattr(_Chunks, "answered", noting)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    found = []
    for workers in (0, 2):
        options = PredictOptions.from_keywords(vectors="none", workers=workers)
        report = RunReport(options, time.perf_counter())
        jobs = find_jobs([tmp_path / "in"], card, options, tmp_path / "out", report)
        # Whether times tell of a change depends on when they are looked at.
        jobs = [replace(job, seen=replace(job.seen, state=None)) for job in jobs]
        found.append((jobs, report.failures, report.to_report().data["warnings"]))
        assert (sum(helped) > 0) == (workers == 2)
    assert found[0] == found[1]
    assert (len(found[0][0]), len(found[0][1])) == (63, 7)
