from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "pipelines" / "demo_scenes.py"


def test_towns_are_written_in_three_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--train", "2", "--val", "1", "--test", "1", "--size", "64"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out == f"4 towns in {tmp_path}\n"
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.tif")}
    towns = ["train/{}/town_1", "train/{}/town_2", "val/{}/town_101", "test/{}/town_2001"]
    assert found == {town.format(kind) + ".tif" for town in towns for kind in ("images", "labels")}
