"""One call of a command: what it prints of errors, and how it ends; `test_cli` tries reports."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from geoseg.errors import GeosegError, SourceError
from geoseg.failures import begun
from geoseg.program import call_command
from geoseg.report import Report
from geoseg.stopping import STOPPING


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that calls a command with this outcome: its exit code, stdout and stderr."""

    def end(outcome: Report | Exception, **options: Any) -> tuple[Any, str, str]:
        def run() -> Report:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(importlib.import_module("geoseg.commands.systems"), "run", run)
        with pytest.raises(SystemExit) as caught:
            call_command("systems", **{"as_json": False, "debug": False} | options)
        return caught.value.code, *capsys.readouterr()

    return end


def test_each_line_of_an_error_is_a_line_on_stderr(call: Any) -> None:
    assert call(GeosegError("a: b\nc: d")) == (2, "", "geoseg: a: b\ngeoseg: c: d\n")


def test_an_error_nobody_expected_is_one_line(call: Any) -> None:
    code, _, errors = call(KeyError("a\nb"))
    assert (code, errors.count("\n"), "Traceback" in errors) == (2, 1, False)
    assert "--debug" in errors
    assert "Traceback" in call(KeyError("a"), debug=True)[2]


def test_an_error_after_the_beginning_ends_with_1_and_is_json_where_wanted(call: Any) -> None:
    error = SourceError("a: is damaged")
    with pytest.raises(SourceError), begun():
        raise error
    code, printed, _ = call(error, as_json=True)
    expected = {"error": "SourceError", "exit_code": 1, "failures": ["a: is damaged"]}
    assert (code, json.loads(printed)) == (1, expected)


def test_what_a_signal_broke_is_an_interruption_and_a_report_stands(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STOPPING, "exit_code", 143)
    code, printed, errors = call(ImportError("cut off"), after_interrupt="run it again")
    assert (code, printed, errors) == (143, "", "geoseg: interrupted; run it again\n")
    assert call(Report("done")) == (0, "done\n", "")
