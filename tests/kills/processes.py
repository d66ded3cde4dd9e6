"""Calls in processes of their own, which can be killed without harm to this one."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import geoseg

KILLED = 137
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_STEPS = frozenset(
    ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink")
)

_LATE = ("matplotlib.pyplot", "pyogrio.raw")


def preload() -> None:
    """Import here what commands load late: each copy of this process would take seconds for it.

    torch gets one thread, as a pool that this process had made would not survive a fork.
    """
    torch.set_num_threads(1)
    own = (module.name for module in pkgutil.walk_packages(geoseg.__path__, "geoseg."))
    for name in (*own, *_LATE):
        importlib.import_module(name)


def start(call: Callable[[], Any]) -> int:
    """The number of a copy of this process that makes a call and ends."""
    process = os.fork()
    if process:
        return process
    try:
        call()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def wait(process: int) -> int:
    """The exit code of a process; the negative signal where one ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def count_steps(call: Callable[[], Any], root: Path) -> list[bool]:
    """For each step on files below a folder that a call takes, whether it opens one to write."""
    reader, writer = os.pipe()
    process = start(lambda: _counted(call, root, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        steps = pipe.read()
    assert wait(process) == 0
    return [step == ord("w") for step in steps]


def _counted(call: Callable[[], Any], root: Path, writer: int) -> None:
    steps = bytearray()
    _watch(root, lambda event, arguments: steps.extend(b"w" if event == "open" else b"-"))
    call()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(bytes(steps))


def kill_at(call: Callable[[], Any], root: Path, step: int, *, torn: bool) -> int:
    """The exit code of a call that ends without a word before one of its steps.

    Args:
        call: what is killed.
        root: the folder of the files that count.
        step: the number of the step, from 0.
        torn: end after the first bytes of the file that this step opens.
    """
    left = step

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if left == 0:
            if torn:
                path, _, flags = arguments
                file = os.open(path, flags & ~os.O_EXCL, 0o644)
                os.write(file, b"torn")  # as `jobs.snapshot` expects it
            os._exit(KILLED)
        left -= 1

    def watched() -> None:
        _watch(root, count)
        call()

    return wait(start(watched))


def _watch(root: Path, on_step: Callable[[str, tuple[Any, ...]], None]) -> None:
    """Call a function before each step on files below a folder, for the rest of the process."""
    inside, busy = str(root), False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy or not _is_step(event, arguments, inside):
            return
        busy = True  # the function's own steps do not count
        on_step(event, arguments)
        busy = False

    sys.addaudithook(hook)


def _is_step(event: str, arguments: tuple[Any, ...], inside: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        return isinstance(path, str) and path.startswith(inside) and bool(flags & _WRITING)
    if event not in _STEPS:
        return False
    path = os.fspath(arguments[0])
    # Within a folder that is being removed, names are relative to it.
    return str(path).startswith(inside) or (event != "os.rename" and arguments[-1] != -1)
