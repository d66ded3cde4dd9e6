"""What commands return, and how it is worded."""

from __future__ import annotations

import json
import math

import pytest

from geoseg.errors import ConfigError
from geoseg.report import Report, counted, finite, nothing_usable, shorten


def test_a_report_prints_its_text_then_warnings_then_failures() -> None:
    data = {"warnings": ["a.tif: dark"], "failures": ["b.tif: gone", "c.tif: torn"], "other": 1}
    assert str(Report("2 done", data, 1)).splitlines() == [
        "2 done",
        "warning: a.tif: dark",
        "b.tif: gone",
        "c.tif: torn",
    ]
    assert str(Report("2 done")) == "2 done"
    assert Report("2 done").exit_code == 0


def test_of_very_many_warnings_the_first_are_printed_and_all_failures() -> None:
    data = {"warnings": [f"{n}.tif: dark {n}" for n in range(1000)], "failures": ["x"] * 1000}
    lines = str(Report("1000 done", data, 1)).splitlines()
    assert lines[50] == "warning: 49.tif: dark 49"
    assert lines[51] == "warning: and 950 more, all of them in the report (--json shows it)"
    assert lines[52:] == ["x"] * 1000


def test_what_is_said_of_many_inputs_is_printed_once_and_kept_for_each() -> None:
    said = ["a.tif: dark", "all of it", "b.tif: dark", "b.tif: flat: 0", "c.tif: dark", "rest"]
    report = Report("3 done", {"warnings": said})
    assert report.warnings == ["a.tif and 2 more: dark", "all of it", "b.tif: flat: 0", "rest"]
    assert report.data["warnings"] == said


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 tiles"), (1, "1 tile"), (2, "2 tiles"), (12_000, "12,000 tiles")]
)
def test_things_are_counted_in_words(number: int, text: str) -> None:
    assert counted(number, "tile") == text


def test_of_many_names_the_first_are_shown_and_the_others_counted() -> None:
    names = list("abcdefgh")
    assert shorten(iter(names)) == "a, b, c, d, e, f and 2 more"
    assert shorten(names[:6]) == "a, b, c, d, e, f"
    assert shorten(names, shown=1) == "a and 7 more"
    assert shorten([]) == ""


@pytest.mark.parametrize("number", [1, 8])
def test_up_to_eight_reasons_are_all_given(number: int) -> None:
    reasons = [f"{index}.tif: gone" for index in range(number)]
    error = nothing_usable(reasons)
    assert isinstance(error, ConfigError)
    assert str(error).splitlines() == reasons


def test_of_many_reasons_the_first_eight_are_given_and_the_others_counted() -> None:
    lines = str(nothing_usable([f"{index}.tif: gone" for index in range(2009)])).splitlines()
    assert lines[:8] == [f"{index}.tif: gone" for index in range(8)]
    assert lines[8:] == ["and 2,001 more, none can be used"]


def test_what_json_cannot_hold_becomes_text() -> None:
    document = {
        "a": [1.5, math.nan, (math.inf, -math.inf)],
        "b": {"c": math.nan},
        "d": [1, True, None, "x"],
    }
    assert finite(document) == {
        "a": [1.5, "nan", ["inf", "-inf"]],
        "b": {"c": "nan"},
        "d": [1, True, None, "x"],
    }
    json.dumps(finite(document), allow_nan=False)


def test_a_file_name_that_is_not_text_is_escaped() -> None:
    name = b"m\xfcnchen.tif".decode(errors="surrogateescape")
    assert finite([name, "münchen"]) == ["m\\udcfcnchen.tif", "münchen"]
    json.dumps(finite([name]), ensure_ascii=False).encode()


def test_a_report_shows_its_text_and_not_all_that_it_holds() -> None:
    assert repr(Report("1 pair\nmean IoU 75 %", {"inputs": list(range(1000))})) == (
        "1 pair\nmean IoU 75 %"
    )
