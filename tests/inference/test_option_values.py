"""What options may be given as, and what is said where they may not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ConfigError
from geoseg.inference.option_values import (
    bands,
    flag,
    number_of,
    numbers_of,
    or_none,
    value_range,
    words,
)


@given(st.lists(st.integers(), min_size=1))
def test_text_and_collections_of_numbers_are_read_alike(numbers: list[int]) -> None:
    read = numbers_of(int)
    assert read("n", numbers) == read("n", ",".join(map(str, numbers))) == tuple(numbers)


@given(st.floats(allow_nan=False))
def test_only_whole_numbers_are_read_as_whole_numbers(number: float) -> None:
    if number.is_integer():
        assert number_of(int)("n", number) == number
    else:
        with pytest.raises(ConfigError, match=re.escape(f"n {number!r}: give one whole number")):
            number_of(int)("n", number)


@pytest.mark.parametrize("given", [0, 1, "true", None, "no"])
def test_a_flag_is_true_or_false(given: Any) -> None:
    assert flag("f", True)
    assert not flag("f", False)
    with pytest.raises(ConfigError, match=r"f .*: give true or false"):
        flag("f", given)


def test_none_and_words_in_place_of_numbers_are_kept() -> None:
    assert or_none(flag)("f", None) is None
    assert number_of(int, word="auto")("n", "auto") == "auto"
    with pytest.raises(ConfigError, match=r"n 'all': give one whole number, or auto"):
        number_of(int, word="auto")("n", "all")


def test_words_are_read_in_lower_case_and_once() -> None:
    assert words("w", " A,b,a") == ("a", "b")
    assert words("w", "none") == words("w", ()) == words("w", None) == ()


def test_bands_are_numbers_or_names() -> None:
    assert bands("b", "3, nir ,1") == (3, "nir", 1)
    assert bands("b", 2) == (2,)
    with pytest.raises(ConfigError, match=r"b '1.5': give names or whole numbers"):
        bands("b", "1.5")


@pytest.mark.parametrize("each", ["0,255,200,400", [(0, 255), (200, 400)], [0, 255, 200, 400]])
def test_a_range_is_of_all_bands_or_of_each(each: Any) -> None:
    assert value_range("r", "0,255") == value_range("r", (0, 255)) == (0.0, 255.0)
    assert value_range("r", each) == ((0.0, 255.0), (200.0, 400.0))
    with pytest.raises(
        ConfigError, match="give two numbers, such as 0,65535, or two for each band"
    ):
        value_range("r", "0,255,9")
