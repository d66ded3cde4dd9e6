"""Progress on stderr."""

from __future__ import annotations

import pytest

from geoseg.terminal import TerminalProgress


def test_notes_are_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    progress.note("plan: [2] windows")
    progress.advance(3)  # without a step under way, nothing moves
    progress.end()
    captured = capsys.readouterr()
    assert captured.err == "plan: [2] windows\n"
    assert captured.out == ""


def test_a_step_is_a_bar_with_its_name_and_count(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    progress.begin("scene.tif", 42)
    progress.advance(40)
    progress.note("[bold] is not markup here")
    progress.advance(1)
    progress.end()
    progress.note("after")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "[bold] is not markup here" in captured.err
    last = [line for line in captured.err.splitlines() if "scene.tif" in line][-1]
    assert "41/42" in last
    assert captured.err.splitlines()[-1] == "after"


def test_each_step_has_a_bar_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    for name in ("first", "second"):
        progress.begin(name, 2)
        progress.advance(2)
        progress.end()
    text = capsys.readouterr().err
    assert "first" in text
    assert text.count("2/2") >= 2
    assert text.index("first") < text.index("second")
