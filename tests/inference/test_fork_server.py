"""What workers need is imported once for all of them, by a process that is gone at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from geoseg.inference import fork_server as module

MARKER = """
import os, pathlib
assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"] == "1"
assert "background_thread:false" in os.environ["JE_ARROW_MALLOC_CONF"]
with pathlib.Path({log!r}).open("a") as log:
    log.write(f"{{os.getpid()}} {{len(os.listdir('/proc/self/task'))}}\\n")
"""
PROGRAM = """
import gc, multiprocessing, os, psutil, sys
from geoseg.inference.fork_server import START_METHOD, fork_server

def work(queue):
    import marked
    assert gc.isenabled() and gc.get_freeze_count() > 1000
    assert "GEOSEG_FORK_SERVER_MODULES" not in os.environ
    queue.put((os.getpid(), os.getppid()))

if __name__ == "__main__":
    environment = dict(os.environ)
    with fork_server(["marked", "not_there"]):
        assert environment == dict(os.environ)
        context = multiprocessing.get_context(START_METHOD)
        queue = context.Queue()
        started = [context.Process(target=work, args=(queue,)) for _ in range(2)]
        for process in started:
            process.start()
        found = [queue.get(timeout=60) for _ in started]
        (server,) = {parent for _, parent in found}
        for process in started:
            process.join()
    print(server, len({number for number, _ in found}))
    assert psutil.Process(server).status() == psutil.STATUS_ZOMBIE
    with fork_server(["marked"]):
        context.Process(target=work, args=(queue,)).start()
        assert queue.get(timeout=60)[1] != server
"""


@pytest.mark.skipif(module.START_METHOD != "forkserver", reason="workers are spawned here")
def test_a_module_is_imported_once_for_all_workers_of_a_call_in_a_process_of_one_thread(
    tmp_path: Path,
) -> None:
    log, program = tmp_path / "log", tmp_path / "hidden/program.py"
    program.parent.mkdir()
    (tmp_path / "hidden/marked.py").write_text(MARKER.format(log=str(log)))
    # The working folder is not on this process's path, and so not on the server's.
    (tmp_path / "marked.py").write_text("raise SystemExit('the wrong one')")
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    server, workers = done.stdout.split()
    assert workers == "2"
    first, second = log.read_text().splitlines()
    assert first == f"{server} 1"
    assert second.endswith(" 1"), "the next call has a server of its own"


class Server(SimpleNamespace):
    """What psutil says of a child, and whether it is there still."""

    def cmdline(self) -> list[str]:
        return ["python", "-c", f"from {self.module} import main; main(3, 4)"]

    def kill(self) -> None:
        self.killed.append(self.pid)
        if self.gone:
            raise psutil.NoSuchProcess(self.pid)

    def __hash__(self) -> int:
        return self.pid


def test_a_server_that_is_killed_meanwhile_is_no_error_and_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[int] = []

    def server(pid: int, module: str = "multiprocessing.forkserver", *, gone: bool = False) -> Any:
        return Server(pid=pid, module=module, gone=gone, killed=killed)

    callers, tracker = server(1), server(2, "multiprocessing.resource_tracker")
    children = [callers, tracker]
    monkeypatch.setattr(module, "START_METHOD", "forkserver")
    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", lambda: None)
    monkeypatch.setattr(
        module.psutil, "Process", lambda: SimpleNamespace(children=lambda: list(children))
    )
    monkeypatch.setattr(module.os, "waitid", lambda *_: pytest.fail("it was gone"))
    with module.fork_server(["a"]):
        children.append(server(3, gone=True))
    assert killed == [3]


def test_where_workers_are_spawned_no_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_METHOD", "spawn")
    monkeypatch.setattr(module, "_servers", None)
    with module.fork_server(["anything"]):
        pass
