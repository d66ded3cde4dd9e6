"""Commands as functions of Python."""

from __future__ import annotations

import inspect
import logging

import pytest

import geoseg
from geoseg import calls, terminal
from geoseg.progress import Progress
from geoseg.report import Report
from geoseg.terminal import TerminalProgress


def test_each_function_is_the_run_of_its_command() -> None:
    from geoseg.commands import predict

    assert geoseg.predict.__name__ == "predict"
    assert geoseg.predict.__doc__ == predict.run.__doc__
    assert inspect.signature(geoseg.predict) == inspect.signature(predict.run)


def test_what_a_report_warns_of_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def run() -> Report:
        return Report("1 done", {"warnings": ["a.tif: no CRS"], "failures": ["b.tif: damaged"]})

    with caplog.at_level(logging.WARNING, "geoseg"):
        calls._call(run, "predict")()
    assert caplog.record_tuples == [
        ("geoseg", logging.WARNING, "a.tif: no CRS"),
        ("geoseg", logging.ERROR, "b.tif: damaged"),
    ]


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_bar_is_shown_where_someone_looks(
    looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Progress] = []

    def run(*, progress: Progress | None = None) -> Report:
        assert progress is not None
        given.append(progress)
        return Report("done")

    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: looked_at)
    silent = Progress()
    calls._call(run, "train")()
    calls._call(run, "train")(progress=silent)
    assert isinstance(given[0], TerminalProgress) == looked_at
    assert given[1] is silent


def test_a_model_introduces_itself_in_a_few_lines() -> None:
    lines = repr(geoseg.load_model("demo")).splitlines()
    assert len(lines) == 3
    assert all(len(line) < 200 for line in lines)


def test_a_missing_argument_is_told_of_the_function_that_was_called() -> None:
    with pytest.raises(TypeError, match=r"geoseg.prepare: missing a required argument: 'src'"):
        geoseg.prepare("vaihingen")
