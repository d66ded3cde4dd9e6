from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial

import pytest

from geoseg.prefetch import look_ahead, look_now, prefetch, shared_out, work_ahead


def threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("geoseg-test")]


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_items_come_whole_and_in_order(depth: int, count: int) -> None:
    assert list(prefetch(iter(range(count)), depth, "geoseg-test")) == list(range(count))
    assert threads() == []


@pytest.mark.parametrize("depth", [1, 3])
def test_as_many_are_made_as_there_is_room_for(depth: int) -> None:
    made: list[int] = []

    def produce() -> Iterator[int]:
        for item in range(10):
            made.append(item)
            yield item

    for item in prefetch(produce(), depth, "geoseg-test"):
        # The one that is held, and those that may be ready; never more, soon exactly so many.
        expected = min(10, item + 1 + depth)
        deadline = time.monotonic() + 5
        while len(made) < expected and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(made) == expected


def test_a_buffer_that_the_caller_holds_is_not_touched() -> None:
    buffers = [[-1], [-1]]

    def produce() -> Iterator[list[int]]:
        for item in range(200):
            buffers[item % 2][0] = item
            yield buffers[item % 2]

    for expected, held in enumerate(prefetch(produce(), 1, "geoseg-test")):
        assert held[0] == expected
        time.sleep(0.0005)
        assert held[0] == expected


def test_an_error_reaches_the_caller_after_what_was_made_before() -> None:
    def produce() -> Iterator[int]:
        yield 1
        raise OSError("torn file")

    items = prefetch(produce(), 2, "geoseg-test")
    assert next(items) == 1
    with pytest.raises(OSError, match="torn file"):
        next(items)
    assert threads() == []


@pytest.mark.parametrize("taken", [1, 3])
def test_the_producer_is_closed_in_its_thread_when_the_caller_leaves(taken: int) -> None:
    closed_in: list[str] = []

    def produce() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed_in.append(threading.current_thread().name)

    items = prefetch(produce(), 2, "geoseg-test")
    for _ in range(taken):
        next(items)
    items.close()
    assert len(closed_in) == 1
    assert closed_in[0].startswith("geoseg-test")
    assert threads() == []


def test_items_that_are_left_when_python_exits_are_left_in_silence() -> None:
    program = """
from geoseg.prefetch import prefetch
items = prefetch((item for item in range(100)), 2)
assert next(items) == 0
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (ended.stdout, ended.stderr) == ("", "")


def test_looks_come_in_order_with_their_errors() -> None:
    looks = list(look_ahead(lambda number: 1 / number, [2, 0, 4], "geoseg-test"))
    assert (looks[0].result(), looks[2].result()) == (0.5, 0.25)
    with pytest.raises(ZeroDivisionError):
        looks[1].result()
    assert threads() == []


@pytest.mark.parametrize(("in_threads", "alone"), [(0.0015, 0.0015), (0.003, 0.0001)])
def test_looks_are_made_in_the_quicker_way_and_come_in_order(
    in_threads: float, alone: float
) -> None:
    """Looks that wait are quicker in threads, those that hinder one another one by one."""
    made_alone: list[bool] = []

    def look(number: int) -> float:
        is_alone = threading.current_thread() is threading.main_thread()
        made_alone.append(is_alone)
        time.sleep(alone if is_alone else in_threads)
        return 1 / (number % 100)

    looks = list(look_ahead(look, range(700), "geoseg-test"))
    assert [each.exception() is None for each in looks] == [n % 100 != 0 for n in range(700)]
    assert all(each.result() == 1 / (n % 100) for n, each in enumerate(looks) if n % 100)
    first, kept = made_alone[:40], made_alone[40 : 40 + 512]
    assert first == [False] * 32 + [True] * 8
    assert all(kept) if alone < in_threads else not any(kept)
    assert threads() == []


@pytest.mark.parametrize(
    ("in_threads", "alone", "count", "helped"),
    [(0.02, 0.0, 600, 560), (0.02, 0.0, 500, 0), (0.0, 0.004, 600, 0)],
)
def test_help_is_called_for_many_looks_that_are_quicker_one_by_one(
    in_threads: float, alone: float, count: int, helped: int
) -> None:
    asked: list[int] = []

    def look(number: int) -> int:
        is_alone = threading.current_thread() is threading.main_thread()
        time.sleep(alone if is_alone else in_threads)
        return number

    def beside(items: Sequence[int]) -> Iterator[Future[int]]:
        asked.extend(items)
        return map(partial(look_now, look), items)

    looks = look_ahead(look, range(count), "geoseg-test", beside=beside)
    assert [each.result() for each in looks] == list(range(count))
    assert len(asked) == helped


def test_looks_that_take_long_are_never_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoseg.prefetch._SHORT", 0.0)
    looks = look_ahead(lambda _: threading.current_thread(), range(700), "geoseg-test")
    assert threading.main_thread() not in {each.result() for each in looks}


def test_few_looks_are_taken_ahead_and_none_after_the_caller_has_left() -> None:
    asked: list[int] = []
    looks = look_ahead(lambda number: number, (asked.append(n) or n for n in range(10**6)))
    next(looks)
    looks.close()
    assert len(asked) < 100


def test_work_that_is_closed_is_stopped_and_no_more_begun() -> None:
    begun: list[int] = []

    def work(number: int, stopped: Callable[[], bool]) -> int:
        begun.append(number)
        while number and not stopped():
            time.sleep(0.001)
        return number

    results = work_ahead(work, range(10**6))
    assert next(results).result() == 0
    results.close()
    assert len(begun) <= 9
    assert not [each for each in threading.enumerate() if each.name.startswith("geoseg-work")]


@pytest.mark.parametrize("processors", [1, 4])
def test_what_threads_share_out_comes_in_order_and_an_error_in_its_turn(
    monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)

    def work(number: int) -> float:
        time.sleep(0.002 * (number % 3))
        return 1 / number

    results = shared_out(work, [1, 2, 4, 5, 0, 8], 1)
    assert [next(results) for _ in range(4)] == [1, 0.5, 0.25, 0.2]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [each for each in threading.enumerate() if each.name.startswith("geoseg-share")]


def test_of_large_results_few_wait_and_none_is_begun_for_a_caller_who_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    for size, most in ((1, 17), (2**23, 9), (2**25, 1)):
        begun: list[int] = []
        results = shared_out(lambda number, begun=begun: begun.append(number), range(1000), size)
        next(results)
        results.close()
        assert 1 <= len(begun) <= most, size
