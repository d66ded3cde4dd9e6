"""The fourth example at toy size."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "04_on_a_cluster.py"


@pytest.mark.slow
def test_it_predicts_a_folder_on_workers_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(EXAMPLE))["main"](tmp_path, 64)
    printed = capsys.readouterr().out
    assert "2 done" in printed
    assert "tcp://127.0.0.1:" in printed
    assert len(list((tmp_path / "predicted").glob("*_classes.tif"))) == 2
