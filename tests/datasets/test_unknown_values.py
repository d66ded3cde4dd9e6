from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.datasets.unknown_values import Policy, UnknownValues
from geoseg.errors import SourceError


def unknown(policy: Policy = "count", kind: str = "value") -> UnknownValues:
    return UnknownValues(Path("gt.tif"), kind, "0, 1", policy)


def test_refusing_names_the_rows_and_the_most_frequent_values() -> None:
    message = (
        r"^gt\.tif: rows 5 to 14 hold value 9 \(1,200 pixels\), 7 \(3 pixels\), 8 \(2 pixels\) and "
        r"1 "
        r"more, which no class has and which is not ignored; the classes have 0, 1: add it to the "
        r"classes or to ignore, or correct the labels$"
    )
    with pytest.raises(SourceError, match=message):
        unknown("refuse").add({"6": 1, "8": 2, "9": 1200, "7": 3}, 5, 10, 200)
    unknown("refuse").add({}, 0, 10, 10)


def test_up_to_one_percent_of_all_pixels_is_reported() -> None:
    found = unknown(kind="colour")
    assert found.warning() is None
    found.add({"1,2,3": 3}, 0, 2, 100)
    found.add({"1,2,3": 1, "4,5,6": 6}, 2, 8, 100)
    assert found.warning() == (
        "gt.tif: colour 4,5,6 (6 pixels), 1,2,3 (4 pixels) belongs to no class; these pixels are "
        "left unlabelled"
    )


def test_more_than_one_percent_is_refused() -> None:
    found = unknown()
    found.add({"9": 11}, 0, 10, 100)
    with pytest.raises(SourceError, match=r"^gt.tif: value 9 \(11 pixels\), which no class has"):
        found.warning()


def test_more_than_a_thousand_values_are_an_image() -> None:
    found = unknown(kind="colour")
    found.add({str(number): 1 for number in range(1000)}, 0, 1000, 1000)
    assert "and 997 more belongs to no class" in str(found.warning())
    found.add({"one more": 1}, 0, 1, 1)
    with pytest.raises(SourceError, match="holds 1,001 colours that no class has, as an image"):
        found.warning()
