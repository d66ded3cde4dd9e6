import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from geoseg import files
from geoseg.errors import DiskError, OutputError
from geoseg.files import remove_files, replace_file, sweep, write_bytes, write_text
from geoseg.unwritable import naming_file


class Killed(BaseException):
    """What no handler of errors catches."""


def companions(path: Path) -> list[Path]:
    return [path.with_suffix(".one"), path.with_suffix(".two"), path.with_suffix(".three")]


def make(folder: Path, content: str, suffixes: list[str]) -> dict[str, str]:
    """A file with some companions, and the same as names and contents."""
    with replace_file(folder / "a.main", companions=companions) as built:
        for suffix in [".main", *suffixes]:
            built.with_suffix(suffix).write_text(f"{content}{suffix}")
    return {f"a{suffix}": f"{content}{suffix}" for suffix in [".main", *suffixes]}


def content_of(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def ended_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def as_if_killed(folder: Path) -> None:
    """Give what this process has left unfinished to a process that has ended."""
    process = ended_process()
    for path in folder.glob(".*.geoseg"):
        path.rename(path.with_name(path.name.replace(f".{os.getpid()}-", f".{process}-")))


@pytest.mark.parametrize("step", range(8))
def test_a_set_of_files_is_never_mixed_and_is_finished_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    old = make(tmp_path, "old", [".one", ".two"])
    calls = []

    def dying(call: object) -> object:
        def counted(*args: object, **options: object) -> None:
            calls.append(args)
            if len(calls) > step:
                raise Killed
            call(*args, **options)  # type: ignore[operator]

        return counted

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying(os.replace))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        patched.setattr("shutil.rmtree", dying(lambda path, ignore_errors: None))
        with pytest.raises(Killed):
            make(tmp_path, "new", [".two", ".three"])
    new = {f"a{suffix}": f"new{suffix}" for suffix in (".main", ".two", ".three")}
    found = content_of(tmp_path)
    assert found in (old, new) or "a.main" not in found
    as_if_killed(tmp_path)
    sweep(tmp_path)
    assert content_of(tmp_path) in (old, new)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("step", range(5))
def test_files_that_belong_together_go_all_or_the_next_run_removes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    old = make(tmp_path, "old", [".one", ".two"])
    (tmp_path / "b.main").write_text("another")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/square").write_text("of the same")
    going = [*(tmp_path / name for name in old), tmp_path / "below/square"]
    left = iter(range(step))
    unlink = Path.unlink

    def dying(path: Path, missing_ok: bool = False) -> None:
        if next(left, None) is None:
            raise Killed
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", dying)
        with pytest.raises(Killed) if step < len(going) else nullcontext():
            remove_files(going)
    assert not going[0].exists() or step == 0
    as_if_killed(tmp_path)
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"b.main", "below"}
    assert not list((tmp_path / "below").iterdir())


@pytest.mark.parametrize("change", ["remove", "replace"])
def test_a_list_that_is_found_when_others_have_made_its_files_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """As its process lived on, or its number was another one's for a while."""
    going = [tmp_path / name for name in make(tmp_path, "old", [".one"])]
    with monkeypatch.context() as killed:
        killed.setattr(files, "_finish_moves", lambda _: None)
        if change == "remove":
            remove_files(going)
        else:
            make(tmp_path, "late", [".one"])
    (left,) = tmp_path.glob(".*")
    os.utime(left / ".moves.json", ns=(0, time.time_ns() - 10**9))
    for path in going:
        path.write_text("another's")
    sweep(tmp_path)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"another's"}


def test_companions_of_the_older_file_go(tmp_path: Path) -> None:
    make(tmp_path, "old", [".one"])
    (tmp_path / "a.three").write_text("an index that somebody added")
    assert make(tmp_path, "new", [".two"]) == content_of(tmp_path)


def test_what_cannot_be_moved_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a file that another program holds open, on Windows."""
    make(tmp_path, "old", [".one"])
    replace = os.replace

    def held(source: Path, target: Path) -> None:
        if Path(target).name == "a.main":
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", held)
        with pytest.raises(OutputError, match=r"a\.main: cannot be written \(Permission denied\)"):
            make(tmp_path, "new", [".one"])
    sweep(tmp_path)
    assert content_of(tmp_path) == {"a.main": "new.main", "a.one": "new.one"}


def test_sweeping_takes_what_ended_processes_left_and_nothing_else(tmp_path: Path) -> None:
    ended, running = ended_process(), os.getppid()
    now = time.time()
    for process in (ended, running, os.getpid()):
        (tmp_path / f".a.tif.{process}-x1.geoseg").mkdir()
        (tmp_path / f".b.png.{process}-y2.geoseg").touch()
    kept = {f".a.tif.{running}-x1.geoseg", f".b.png.{running}-y2.geoseg", "mine.geoseg", ".x.1-a"}
    for name in kept - {path.name for path in tmp_path.iterdir()}:
        (tmp_path / name).touch()
    with replace_file(tmp_path / "c.json") as built:
        sweep(tmp_path)  # by a thread of the process that writes
        built.touch()
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "c.json"}
    for path in tmp_path.glob(f".*{running}*"):
        os.utime(path, (now - 10**8, now - 10**8))  # before the process of that number began
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"c.json", "mine.geoseg", ".x.1-a"}


def test_a_texts_bytes_are_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut could leave an empty file under the name."""
    path, steps = tmp_path / "a.json", []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda number: steps.append(os.fstat(number).st_size))
    monkeypatch.setattr(os, "replace", lambda *two: steps.append("moved") or replace(*two))
    write_text(path, "two\n")
    assert steps == [4, "moved"]
    assert path.read_text() == "two\n"
    write_bytes(path, b"large and made again")
    assert steps == [4, "moved", "moved"], "what a run can make again does not wait for the disk"


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_fault_of_the_disk_is_told_from_one_of_a_file(tmp_path, fault):
    path = tmp_path / "a.tif"
    words = rf"a\.tif: cannot be written .{os.strerror(fault)}"
    with pytest.raises(DiskError, match=words), naming_file(path):
        raise OSError(fault, os.strerror(fault))
    with pytest.raises(DiskError), naming_file(path, (RuntimeError,)):  # in a library's own words
        raise RuntimeError(f"write failed: {os.strerror(fault)}")


@pytest.mark.parametrize(
    "words",
    [
        "Could not add feature (failed to execute insert : database or disk is full)",
        "sqlite3_exec(ROLLBACK) failed: cannot rollback - no transaction is active",
    ],
)
def test_a_full_disk_is_known_by_the_words_of_sqlite_too(tmp_path, words):
    with (
        pytest.raises(DiskError, match=r"cannot be written \(the disk is full\); free the disk"),
        naming_file(tmp_path / "a.gpkg", (RuntimeError,)),
    ):
        raise RuntimeError(words)


@pytest.mark.parametrize("fault", [errno.ENAMETOOLONG, errno.EISDIR, errno.EACCES, errno.EMFILE])
def test_a_file_that_cannot_be_written_alone_is_no_fault_of_the_disk(tmp_path, fault):
    with pytest.raises(OutputError) as caught, naming_file(tmp_path / "a.tif"):
        raise OSError(fault, os.strerror(fault))
    assert not isinstance(caught.value, DiskError)


def test_a_folder_that_cannot_be_written_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(DiskError), naming_file(tmp_path / "a.tif"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_no_changed_byte_of_a_list_of_moves_touches_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it lies there after a kill, and a disk has damaged it."""
    names = ["a.shp", "a.shx", "b.shp", "b.shx", "c.shp"]
    for name in names:
        (tmp_path / name).write_text("old")
    with monkeypatch.context() as killed:
        killed.setattr(files, "_finish_moves", lambda _: None)
        with replace_file(tmp_path / "a.shp", companions=lambda p: [p.with_suffix(".shx")]) as new:
            new.write_text("new")
            new.with_suffix(".shx").write_text("new")
    (left,) = tmp_path.glob(".*")
    moves = left / ".moves.json"
    whole = moves.read_bytes()
    kept = shutil.copytree(tmp_path, tmp_path.with_name("kept"))
    for place, old in enumerate(whole):
        shutil.rmtree(tmp_path)
        shutil.copytree(kept, tmp_path)
        moves.write_bytes(whole[:place] + bytes([old ^ 1 << place % 8]) + whole[place + 1 :])
        sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        assert {(tmp_path / name).read_text() for name in names} == {"old"}
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    sweep(tmp_path)
    assert [(tmp_path / name).read_text() for name in names] == ["new", "new", "old", "old", "old"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be frozen")
@pytest.mark.parametrize("complete", [False, True])
def test_what_a_frozen_process_builds_is_taken_away_where_it_is_abandoned_and_not_complete(
    tmp_path: Path, complete: bool
) -> None:
    """Half of its moves would lose the file that another process has made meanwhile."""
    for name in ("a.tif", "a.tif.aux.xml"):
        (tmp_path / name).write_text("of another")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as frozen:
        frozen.send_signal(signal.SIGSTOP)
        left = tmp_path / f".a.tif.{frozen.pid}-x1.geoseg"
        left.mkdir()
        (left / "a.tif").write_text("half")
        (left / (".moves.json" if complete else "base.tif")).touch()
        other = tmp_path / f".b.tif.{frozen.pid}-x1.geoseg"
        other.mkdir()
        sweep(tmp_path)
        assert left.exists(), "it is not abandoned"
        sweep(tmp_path, {"a.tif"})
        assert (left.exists(), other.exists()) == (complete, True)
        frozen.kill()
    assert (tmp_path / "a.tif").read_text() == "of another"


def test_a_file_whose_folder_is_swept_as_it_moves_is_refused_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "old", [".one"])
    rename = os.rename

    def taken(source: Path, target: Path) -> None:
        shutil.rmtree(source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", taken)
    with pytest.raises(OutputError, match=r"a\.main: cannot be written"):
        make(tmp_path, "new", [".one"])
    assert content_of(tmp_path) == {"a.main": "old.main", "a.one": "old.one"}


def test_a_folder_in_the_place_of_a_companion_leaves_the_old_file(tmp_path: Path) -> None:
    make(tmp_path, "old", [])
    (tmp_path / "a.one").mkdir()
    with pytest.raises(OutputError, match=r"a\.one is a folder, and a file is to be written there"):
        make(tmp_path, "new", [".one"])
    assert (tmp_path / "a.main").read_text() == "old.main"
    assert {path.name for path in tmp_path.iterdir()} == {"a.main", "a.one"}
