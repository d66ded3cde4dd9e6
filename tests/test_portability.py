"""What only POSIX has is used where there is another way; text is UTF-8 on every system."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import geoseg

ROOT = Path(geoseg.__file__).parent
POSIX_MODULES = {"fcntl", "grp", "posix", "pwd", "resource", "termios"}
POSIX_NAMES = {
    *("fork", "getuid", "geteuid", "killpg", "mkfifo", "nice", "register_at_fork", "setsid"),
    *("sched_getaffinity", "statvfs", "umask", "alarm", "pthread_kill"),
    *("pthread_sigmask", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGUSR1"),
}
"""Of os and signal."""
GUARDED = {
    ("geoseg/stopping.py", "pthread_sigmask"),  # workers also ignore Ctrl-C themselves
    ("geoseg/inference/probe.py", "resource"),  # psutil knows Windows' peak
    ("geoseg/stopping.py", "pthread_kill"),  # an interrupt that nothing waits to end
    ("geoseg/stopping.py", "register_at_fork"),  # needed only where processes fork
}
"""Uses that have another way beside them."""


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for file in ROOT.rglob("*.py"):
        name = file.relative_to(ROOT.parent).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            yield name, node


def posix_names(node: ast.AST) -> set[str]:
    """What a statement uses that Windows lacks."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & POSIX_MODULES
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names} if node.module in ("os", "signal") else set()
        return ({node.module or ""} & POSIX_MODULES) | (names & POSIX_NAMES)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {node.attr} & POSIX_NAMES if node.value.id in ("os", "signal") else set()
    return set()


def test_what_windows_lacks_is_used_only_where_there_is_another_way() -> None:
    assert {(file, name) for file, node in nodes() for name in posix_names(node)} == GUARDED


def opens_text(call: ast.Call) -> bool:
    """Whether a call reads or writes a text file by a method of its path."""
    if not isinstance(call.func, ast.Attribute) or ast.unparse(call.func) == "rasterio.open":
        return False
    modes = {argument.value for argument in call.args if isinstance(argument, ast.Constant)}
    newline = any(keyword.arg == "newline" for keyword in call.keywords)
    of_a_zip = any(keyword.arg == "force_zip64" for keyword in call.keywords)
    has_mode = bool(modes & {"r", "w", "a"}) and not of_a_zip
    is_open = call.func.attr == "open" and (newline or has_mode)
    return call.func.attr in ("read_text", "write_text") or is_open


def test_text_files_name_their_encoding() -> None:
    """Windows would take the code page of the country."""
    wrong = [
        f"{file}:{node.lineno}"
        for file, node in nodes()
        if isinstance(node, ast.Call)
        and opens_text(node)
        and all(keyword.arg != "encoding" for keyword in node.keywords)
    ]
    assert wrong == []


def test_every_file_of_the_project_has_a_name_that_windows_takes() -> None:
    """A name that it does not take, there or by its letters' case, ends every checkout."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT.parent, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: git lists no files")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    wrong = re.compile(
        r'[<>:"|?*\\\x00-\x1f]|[. ](/|$)|(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)', re.IGNORECASE
    )
    assert [name for name in names if wrong.search(name)] == []
    assert len({name.casefold() for name in names}) == len(names)


@pytest.mark.slow
def test_the_demo_runs_where_os_and_signal_lack_what_windows_lacks(tmp_path: Path) -> None:
    code = f"""
import functools, os, signal, sys
import geoseg.cli, geoseg.commands.demo as demo, geoseg.inference.sheet, geoseg.stopping
for module in (os, signal):
    for name in {sorted(POSIX_NAMES - {"statvfs"})!r}:  # shutil has its own on Windows
        if hasattr(module, name):
            delattr(module, name)
sys.modules |= dict.fromkeys({sorted(POSIX_MODULES - {"posix"})!r})
demo.run = functools.partial(demo.run, size=256)
sys.argv = ["geoseg", "demo", "--out", {str(tmp_path / "demo")!r}, "--quiet"]
geoseg.cli.main()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "demo/predicted").glob("*_classes.tif"))) == 2
