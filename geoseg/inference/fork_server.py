"""The process that workers of this machine are forked from, as it has imported what they need.

Importing torch and its companions takes seconds of a processor, which each worker would else spend
anew. One process does it for all, beside the imports of this one. It does nothing else: what no
fork survives (threads, CUDA, open files of GDAL) is begun by each worker.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from geoseg.inference import preloaded
from geoseg.lazy import import_environment
from geoseg.stopping import STOPPING, interrupts_blocked

START_METHOD = "forkserver" if sys.platform.startswith("linux") else "spawn"
"""How workers start; libraries of macOS do not survive a fork, and Windows has none."""
_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""Libraries read these while they are imported: a pool of threads would not survive a fork."""


@contextmanager
def fork_server(modules: Sequence[str]) -> Iterator[None]:
    """While inside, worker processes find these modules imported; does not wait for the imports.

    A server that runs already, of the caller's own, is taken as it is: with its modules, and with
    workers that hear Ctrl-C for the instant until they ignore it. A module that cannot be imported
    in a server is left to the workers.

    Args:
        modules: their names.
    """
    if START_METHOD != "forkserver":
        yield
        return
    from multiprocessing import forkserver  # not there on Windows

    multiprocessing.get_context(START_METHOD).set_forkserver_preload([preloaded.__name__])
    named = {preloaded.MODULES: ",".join(modules)}
    with interrupts_blocked(), _environment({**_ENVIRONMENT, **import_environment(), **named}):
        before = _servers()
        forkserver.ensure_running()
    try:
        yield
    finally:
        for process in _servers() - before:  # or the one that Python started where that was killed
            with suppress(psutil.NoSuchProcess, ChildProcessError):  # killed just now
                process.kill()
                # Python itself reaps it, when it starts the next one: it must have ended by then.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def _servers() -> set[psutil.Process]:
    """Fork servers of this process, also of the caller's own."""
    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # one that has ended is a zombie, or gone
            if any("multiprocessing.forkserver" in word for word in child.cmdline()):
                found.add(child)
    return found


def unguarded_script() -> str | None:
    """What the script needs that processes import as they start, where it may keep them from it."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is None or STOPPING.listens or _is_guarded(Path(script)):
        return None
    return f"{script} needs `if __name__ == '__main__':` around what it does, and must be a file"


def _is_guarded(script: Path) -> bool:
    """Whether a script asks if it is imported; one from a terminal or a pipe is no file."""
    try:
        return "__name__" in script.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    """With these variables, what starts inside."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
