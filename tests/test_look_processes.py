"""Looks with the help of other processes: the same looks, whatever becomes of these."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest
from rasterio.crs import CRS

from geoseg.coordinate_systems import wkt_of
from geoseg.look_processes import look_beside


def reciprocal(number: int) -> tuple[float, int]:
    """And who has looked."""
    time.sleep(0.002)
    return 1 / (number % 100), os.getpid()


class Ill:
    """A look at which helpers do not work as they should."""

    def __init__(self, parent: int, how: str) -> None:
        self.parent, self.how = parent, how

    def __call__(self, number: int) -> int:
        if os.getpid() != self.parent:
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.how == "frozen":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif self.how == "raises":
                raise RuntimeError("here alone")
            elif self.how == "prints":
                os.write(1, b"to standard output")
            elif self.how == "exits":
                raise SystemExit
        time.sleep(0.001)
        return number


class Unpicklable:
    def __reduce__(self) -> str:
        raise TypeError("not this one")


def unpicklable(number: int) -> tuple[int, Unpicklable]:
    time.sleep(0.001)
    return number, Unpicklable()


def no_process_and_no_thread_is_left() -> bool:
    of_looks = [each for each in threading.enumerate() if each.name == "geoseg-ask"]
    served = [
        each for each in psutil.Process().children() if "look_processes" in " ".join(each.cmdline())
    ]
    return not of_looks and not served


def test_looks_come_in_order_with_their_errors_and_from_several_processes() -> None:
    looks = list(look_beside(reciprocal, range(1, 1500), 1))
    errors = [number for number, look in enumerate(looks, 1) if look.exception() is not None]
    assert errors == list(range(100, 1500, 100))
    found = [look.result() for look in looks if look.exception() is None]
    assert [value for value, _ in found] == [1 / (n % 100) for n in range(1, 1500) if n % 100]
    assert len({process for _, process in found}) == 2
    assert no_process_and_no_thread_is_left()


@pytest.mark.parametrize("how", ["killed", "frozen", "raises", "prints", "exits"])
def test_whatever_becomes_of_a_helper_all_is_looked_at(how: str) -> None:
    if how == "frozen" and not hasattr(signal, "SIGSTOP"):
        pytest.skip("nothing is frozen on Windows")
    looks = look_beside(Ill(os.getpid(), how), range(1200), 2)
    assert [look.result() for look in looks] == list(range(1200))
    assert no_process_and_no_thread_is_left()


def test_what_cannot_be_pickled_is_looked_at_here() -> None:
    looks = look_beside(unpicklable, range(1200), 1)
    assert [look.result()[0] for look in looks] == list(range(1200))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("geoseg.look_processes._SERVE", "raise SystemExit(1)"),
        ("multiprocessing.spawn.get_executable", lambda: "/no/such/python"),
    ],
)
def test_a_helper_that_cannot_start_is_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(name, value)
    looks = look_beside(reciprocal, range(1, 100), 1)
    assert {look.result()[1] for look in looks} == {os.getpid()}


def test_who_leaves_early_leaves_no_process() -> None:
    looks = look_beside(reciprocal, range(1, 10_000), 2)
    next(looks)
    looks.close()
    assert no_process_and_no_thread_is_left()


CODES = (25832, 4326, 3857, 2056, 31467, 27700, 5555, 7415)


def of_a_file(number: int) -> tuple[CRS, int]:
    """As rasterio reads it: from text."""
    time.sleep(0.002)
    return CRS.from_wkt(of_no_file(number)[0].to_wkt()), os.getpid()


def of_no_file(number: int) -> tuple[CRS, int]:
    return CRS.from_epsg(CODES[number % len(CODES)]), os.getpid()


@pytest.mark.parametrize(("look", "processes"), [(of_a_file, 2), (of_no_file, 1)])
def test_coordinate_systems_arrive_as_they_are(
    look: Callable[[int], tuple[CRS, int]], processes: int
) -> None:
    """Their texts are in the keys of files, so that they must be those of this process."""
    looks = [each.result() for each in look_beside(look, range(1500), 1)]
    for number, (crs, _) in enumerate(looks):
        here, _ = look(number) if number < len(CODES) else looks[number % len(CODES)]
        assert (crs, str(crs), crs.to_wkt()) == (here, str(here), here.to_wkt())
        assert wkt_of(crs) == wkt_of(here)
    assert len({process for _, process in looks}) == processes


def test_helpers_end_with_a_process_that_is_killed() -> None:
    script = (
        "import sys, time\n"
        "from geoseg.look_processes import look_beside\n"
        "from tests.test_look_processes import reciprocal\n"
        "looks = look_beside(reciprocal, range(1, 10**6), 1)\n"
        "for _ in range(40): next(looks)\n"
        "print('looking', flush=True)\n"
        "for _ in looks: pass\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "looking\n"
        helpers = psutil.Process(killed.pid).children()
        killed.kill()
    assert helpers
    gone, alive = psutil.wait_procs(helpers, timeout=20)
    for each in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    assert len(gone) == len(helpers)
