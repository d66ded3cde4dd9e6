"""The second example at toy size."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "02_predict_a_scene.py"


def test_it_predicts_a_scene_and_scores_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = runpy.run_path(str(EXAMPLE))["main"](tmp_path, 128)
    assert report.is_file()
    printed = capsys.readouterr().out
    assert "1 done" in printed
    assert "mean IoU" in printed
