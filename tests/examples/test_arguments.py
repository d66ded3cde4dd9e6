"""Scripts say in one line what is wrong with their arguments."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ["01_make_a_scene", "02_predict_a_scene", "04_on_a_cluster"]


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FOLDER", "large"], "size: invalid int value: 'large'"),
        (["FOLDER", "64", "7"], "unrecognized arguments: 7"),
        (["FOLDER", "0"], "0 x 0 pixels holds nothing; give at least 1 x 1"),
        (["FOLDER/file", "64"], "file is a file, not a folder"),
    ],
)
def test_wrong_arguments_of_examples_are_named(
    example: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    given = [text.replace("FOLDER", str(tmp_path)) for text in arguments]
    run(f"examples/{example}.py", given, message, monkeypatch, capsys)


def test_wrong_arguments_of_demo_scenes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(tmp_path), "--size", "0"]
    run("pipelines/demo_scenes.py", given, "give at least 1 x 1", monkeypatch, capsys)


def run(
    script: str,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
