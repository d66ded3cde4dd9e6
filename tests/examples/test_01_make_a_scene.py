"""The first example at toy size."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_make_a_scene.py"


def test_it_writes_two_scenes_with_labels_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = runpy.run_path(str(EXAMPLE))["main"](tmp_path, 96)
    assert picture.is_file()
    assert (
        sorted(path.name for path in tmp_path.rglob("scene_*.tif"))
        == ["scene_1.tif", "scene_1.tif"] + ["scene_2.tif"] * 2
    )
    assert "low vegetation" in capsys.readouterr().out
