"""``--workers``: processes that die are no matter of the outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import geoseg
from geoseg.inference.cluster_slots import ClusterSlots
from geoseg.inference.stories import Lane, Task
from tests.chaos.outcome import differences, outcome
from tests.chaos.processes import kill_first

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_whose_worker_is_killed_while_it_starts_ends_whole_with_the_same_bytes(
    make_raster: Callable[..., Path],
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_raster("scenes/a.tif", height=128, width=128)
    for number in range(32):  # of two workers, several of these are one task
        make_raster(f"scenes/small{number}.tif", height=16, width=20, seed=number)
    names: list[str] = []
    submit = ClusterSlots.submit

    def submitting(slots: ClusterSlots, lane: Lane, task: Task) -> Any:
        names.append(task.function.__name__)
        return submit(slots, lane, task)

    monkeypatch.setattr(ClusterSlots, "submit", submitting)
    options = {"vectors": "none", "confidence": True, "precision": "fp32", "block": 64}
    options |= {"encode": "window"}  # else the large one is one block too
    geoseg.predict(tmp_path / "scenes", model_file, out=tmp_path / "here", **options)
    killer = threading.Thread(target=kill_first, args=(0.0,))
    killer.start()
    report = geoseg.predict(
        tmp_path / "scenes", model_file, out=tmp_path / "there", workers=2, **options
    )
    killer.join()
    assert (report.exit_code, report.data["failures"]) == (0, [])
    assert differences(outcome(tmp_path / "there"), outcome(tmp_path / "here")) == []
    assert names.count("make_rasters") == 16
    assert names.count("predict_block") == 4
