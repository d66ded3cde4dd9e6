"""Ctrl-C and SIGTERM: one line, the right exit code, no traceback; the second one at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import pytest

from geoseg.stopping import Stopping

LINE = "geoseg: interrupted; nothing was written; run it again\n"
ORDERLY = "time.sleep(60)"
DEAF = "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"
"""One call of a library that lasts for minutes and that no signal ends."""
SLOW_TO_END = "\n    try: time.sleep(60)\n    finally: time.sleep(60)"
THREADS = (
    "\n    try: time.sleep(60)\n    finally:"
    "\n        thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()"
    "\n        sys.excepthook(OSError, OSError('a worker has gone'), None)"
)
"""What threads of a library say of workers that end."""
EVENT_LOOP = (
    "\n    try: time.sleep(60)\n    finally:"
    "\n        import asyncio, gc"
    "\n        async def fail(): 1 / 0"
    "\n        async def forget(): asyncio.create_task(fail()); await asyncio.sleep(0.1)"
    "\n        asyncio.run(forget()); gc.collect()"
)
"""What an event loop says of a worker whose start failed and for which nobody waits."""
SOURCE_TEXT = "exec('time.sleep(60)')"
"""As dataclasses do; Python remembers a KeyboardInterrupt that leaves it, and ends by a signal."""
CALLBACK = "import ctypes; ctypes.CFUNCTYPE(None)(lambda: time.sleep(60))(); time.sleep(60)"
"""Of a library in C, through which nothing can be raised."""
FINALIZER = "class Slow:\n        def __del__(self): time.sleep(60)\n    Slow(); time.sleep(60)"
BROKEN = "\n    try: time.sleep(60)\n    finally: raise RuntimeError('a worker was killed')"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
BOTH = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
"""Signals and the codes of programs that they end."""


def crossed(bodies: list[str], signals: list[Any]) -> list[Any]:
    """Each body with each signal; all but one of a body, in turns, are for `make test-all`."""
    return [
        pytest.param(body, signal, marks=[] if gated else pytest.mark.slow)
        for row, body in enumerate(bodies)
        for column, signal in enumerate(signals)
        for gated in [(row + column) % len(signals) == 0]
    ]


def start(body: str, place: str = "command.run", **options: Any) -> subprocess.Popen[str]:
    """The program, in the midst of a command that does this, or another function."""
    code = (
        "import sys, time, hashlib, threading, geoseg.cli, geoseg.commands.evaluate as command\n"
        f"def run(*_, **__):\n    print('begun', flush=True)\n    {body}\n"
        f"{place} = run\n"
        "sys.argv = ['geoseg', 'evaluate', 'a', 'b', '--classes', 'isprs', '--out', 'c']\n"
        "geoseg.cli.main()"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(
        command, **pipes, text=True, preexec_fn=allow_interrupts, start_new_session=True, **options
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.2)  # until it does
    return process


def allow_interrupts() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("body", "sent"),
    crossed([ORDERLY, BROKEN, THREADS, EVENT_LOOP, SOURCE_TEXT, CALLBACK, FINALIZER], BOTH),
)
def test_the_first_signal_ends_a_command_in_one_line(
    body: str, sent: tuple[signal.Signals, int]
) -> None:
    number, code = sent
    process = start(body)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, LINE)


@pytest.mark.parametrize(("number", "code"), BOTH)
def test_a_signal_before_the_command_begins_ends_the_program(
    number: signal.Signals, code: int
) -> None:
    process = start(ORDERLY, "geoseg.cli.call")
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, "geoseg: interrupted\n")


@pytest.mark.parametrize(
    ("moment", "number"),
    crossed(["atexit.register(last)", "builtins.end = End()"], [signal.SIGINT, signal.SIGTERM]),
)
def test_a_signal_after_the_commands_end_changes_nothing(
    moment: str, number: signal.Signals
) -> None:
    process = start(
        "import atexit, builtins, os; from geoseg.report import Report"
        "\n    def last(*_, write=os.write, sleep=time.sleep): write(1, b'ended\\n'); sleep(1)"
        "\n    class End: __del__ = last"
        f"\n    {moment}; return Report('done')"
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["done\n", "ended\n"]
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("body", "sent"), crossed([SLOW_TO_END, DEAF], BOTH))
def test_the_second_signal_ends_the_program_at_once_whatever_it_does(
    body: str, sent: tuple[signal.Signals, int]
) -> None:
    number, code = sent
    process = start(body)
    process.send_signal(number)
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, LINE)


def test_the_second_signal_ends_the_processes_that_were_started() -> None:
    spawn = "import multiprocessing as m; p = m.get_context('fork').Process(target=time.sleep,"
    process = start(f"{spawn} args=(60,)); p.start(); print(p.pid, flush=True); {DEAF}")
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive


def test_a_signal_to_a_forked_process_is_no_signal_to_its_parent() -> None:
    fork = "import os, signal; child = os.fork(); child or time.sleep(60)"
    send = "[os.kill(child, signal.SIGINT) or time.sleep(0.2) for _ in range(3)]"
    process = start(f"{fork}; {send}; time.sleep(60)")
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143


def test_what_was_ignored_from_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    wakeup, options = signal.set_wakeup_fd(-1), [*sys.warnoptions]
    try:
        stopping = Stopping()
        assert not stopping.listens
        stopping.listen()
        assert stopping.listens
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    finally:
        os.close(signal.set_wakeup_fd(wakeup))
        sys.warnoptions[:] = options
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_the_line_is_out_before_a_second_thread_goes_on() -> None:
    """That thread ends the program: what the first is just writing would be lost."""
    stopping = Stopping()
    begun, go_on = threading.Event(), threading.Event()
    written: list[str] = []

    def write(line: str) -> None:
        begun.set()
        assert go_on.wait(10)
        written.append(line)

    def end() -> None:
        stopping.say(written.append)
        written.append("end")

    first, second = (
        threading.Thread(target=stopping.say, args=(write,)),
        threading.Thread(target=end),
    )
    first.start()
    assert begun.wait(10)
    second.start()
    second.join(0.1)
    assert written == []
    go_on.set()
    for each in (first, second):
        each.join(10)
    assert written == ["geoseg: interrupted", "end"]
