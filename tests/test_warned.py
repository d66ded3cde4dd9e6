"""Warnings of one thread, while others have theirs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from geoseg.warned import hear_warnings


@pytest.fixture
def shown() -> Iterator[list[warnings.WarningMessage]]:
    """What is shown to the user."""
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        yield messages


def test_each_thread_hears_its_own_and_the_others_are_shown_as_ever(
    shown: list[warnings.WarningMessage],
) -> None:
    both = threading.Barrier(3)

    def work(name: str) -> list[str]:
        with hear_warnings(UserWarning) as heard:
            both.wait(10)
            for _ in range(2):  # "once a place" would drop the second
                warnings.warn(name, UserWarning, stacklevel=1)
            both.wait(10)
        return heard

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(work, name) for name in "ab"]
        both.wait(10)
        warnings.warn("of nobody", UserWarning, stacklevel=1)
        both.wait(10)
        assert [each.result(10) for each in futures] == [["a", "a"], ["b", "b"]]
    assert [str(each.message) for each in shown] == ["of nobody"]


def test_other_categories_and_other_words_are_shown(
    shown: list[warnings.WarningMessage],
) -> None:
    with hear_warnings(UserWarning, start="mine") as heard:
        warnings.warn("mine, of another kind", RuntimeWarning, stacklevel=1)
        warnings.warn("other", UserWarning, stacklevel=1)
        warnings.warn("mine, too", UserWarning, stacklevel=1)
    assert heard == ["mine, too"]
    assert [str(each.message) for each in shown] == ["mine, of another kind", "other"]


def test_the_filters_are_what_they_were_whoever_ends_last() -> None:
    before, show = list(warnings.filters), warnings.showwarning
    first, second = hear_warnings(UserWarning), hear_warnings(RuntimeWarning)
    with first:
        second.__enter__()
    assert warnings.filters != before
    second.__exit__(None, None, None)
    assert (list(warnings.filters), warnings.showwarning) == (before, show)
