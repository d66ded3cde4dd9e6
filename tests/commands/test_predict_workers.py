"""``--workers``: processes that die are no matter of the outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import geoseg
from tests.chaos.processes import kill_first

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_whose_worker_is_killed_while_it_starts_ends_whole_with_the_same_bytes(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    scene = make_raster("a.tif", height=128, width=128)
    options = {"vectors": "none", "confidence": True, "precision": "fp32", "block": 64}
    geoseg.predict(scene, model_file, out=tmp_path / "here", **options)
    killer = threading.Thread(target=kill_first, args=(0.0,))
    killer.start()
    report = geoseg.predict(scene, model_file, out=tmp_path / "there", workers=2, **options)
    killer.join()
    assert (report.exit_code, report.data["failures"]) == (0, [])
    for name in ("a_classes.tif", "a_confidence.tif"):
        made = [(tmp_path / out / name).read_bytes() for out in ("here", "there")]
        assert made[0] == made[1]
    assert not (tmp_path / "there/.geoseg").exists()
