"""Files that others may look at while geoseg writes: replaced whole, and swept.

A file is built in a temporary folder beside its final place, under its final base name, and renamed
into place when it is complete. A process that is killed leaves its temporary folder behind: `sweep`
finishes what was complete and about to move, and removes the rest. What goes into a bucket is built
among this machine's temporary files, and sent.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from geoseg.places import (
    AnyPath,
    Companions,
    building_site,
    existing_files,
    path_below,
    refuse_folders,
)
from geoseg.stores import StorePath
from geoseg.unwritable import naming_file

_SUFFIX = ".geoseg"
"""Of temporary files and folders."""
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)-\w+\.geoseg")
"""Their names; the number is the process that uses them."""
_in_use: set[str] = set()
"""The temporary names that this process uses: its number may have been another one's before."""
_CLOCKS = 60.0
"""Seconds by which a file system's clock may differ from this machine's."""
_MOVES = ".moves.json"
"""In a folder of complete files: a checksum, and what is to be removed and moved, in order."""


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, on the same disk, removed in the end.

    Raises:
        OSError: the folder cannot be made.
    """
    with _temporary_path(path) as folder:
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            if not (folder / _MOVES).exists():  # else `sweep` finishes what could not be finished
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _temporary_path(path: Path) -> Iterator[Path]:
    """A new path beside `path` whose name says that this process uses it."""
    name = f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
    _in_use.add(name)
    try:
        yield path.with_name(name)
    finally:
        _in_use.discard(name)


@contextmanager
def replace_file(
    path: AnyPath,
    *,
    companions: Companions = lambda _: (),
    errors: tuple[type[Exception], ...] = (OSError,),
    facts: Mapping[str, str] | None = None,
) -> Iterator[Path]:
    """A path of the same name in a temporary folder, moved to `path` when the block succeeds.

    The old file goes first and the new one comes last, so that a file that exists is complete.
    Companions of the old one, which would describe the new one wrongly, are removed. A process that
    is killed in between leaves what `sweep` finishes. When the block fails, `path` stays as it was.

    Args:
        path: the final path; its folder is made where it is missing.
        companions: the other files that may belong to a file at a path: built beside it, or left
            from an older one.
        errors: what the block may raise by writing; each becomes an `OutputError`. Give none where
            the block does other work too, and put `naming_file` round what writes.
        facts: about the file, as they are when the block ends; told with each object of a bucket,
            so that nobody has to open it, and companions are known where the file is not.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    with ExitStack() as stack:
        with naming_file(path):
            built = stack.enter_context(temporary_folder(building_site(path))) / path.name
        with naming_file(path, errors):
            yield built
        with naming_file(path):
            made = [other.name for other in companions(built) if other.exists()]
            old = [other.name for other in existing_files(path, companions) if other != path]
            if isinstance(path, StorePath):
                _send(built, path, made, old, facts or {})
            else:
                _put_in_place(built, path, made, old)


def _send(
    built: Path, path: StorePath, made: list[str], old: list[str], facts: Mapping[str, str]
) -> None:
    """Put a file into its bucket, last of all; an old one goes first where it has companions."""
    if made or old:
        path.unlink(missing_ok=True)
    for name in old:
        path.with_name(name).unlink(missing_ok=True)
    for name in made:
        path.with_name(name).put(built.with_name(name), facts)
    path.put(built, facts)


def _put_in_place(built: Path, path: Path, made: list[str], old: list[str]) -> None:
    if not made and not old:
        os.replace(built, path)
        return
    refuse_folders(path.with_name(name) for name in (path.name, *old))
    stale = [name for name in old if name not in made]
    _move(built.parent, path, remove=[path.name, *stale], move=[*made, path.name])


def remove_files(paths: Sequence[AnyPath]) -> None:
    """Remove a file and what belongs to it, in this order.

    A process that is killed in between leaves what `sweep` finishes. In a bucket, where nothing can
    be renamed, it leaves objects that tell what they were made from.

    Args:
        paths: none, or the file and then others, on the same disk.

    Raises:
        OutputError: one cannot be removed.
    """
    here = [path for path in paths if isinstance(path, Path)]
    if len(here) > 1:
        beside = Path(os.path.commonpath([path.parent for path in here])) / here[0].name
        names = [path_below(beside.parent, path).as_posix() for path in here]
        with naming_file(beside), temporary_folder(beside) as folder:
            _move(folder, beside, remove=names, move=[])
        return
    for path in paths:
        with naming_file(path):
            path.unlink(missing_ok=True)


def _move(folder: Path, path: Path, remove: list[str], move: list[str]) -> None:
    """Remove files beside `path`, and move those of a temporary folder there, in these orders."""
    moves = json.dumps({"remove": remove, "move": move})
    # Not waited for: if power fails, a list that is lost costs no more than the files themselves.
    write_bytes(folder / _MOVES, f"{zlib.crc32(moves.encode()):08x} {moves}".encode())
    with _temporary_path(path) as own:
        os.rename(folder, own)  # of this and of a sweep that takes it away, one succeeds
        _finish_moves(own)


def _finish_moves(folder: Path, *, late: bool = False) -> None:
    """Do what is left of the moves out of a temporary folder, which then goes.

    Each step may have been done. A list that is damaged counts as none: it could name any file. So
    does one that is found late, where another process has made one of its files since.
    """
    checksum, _, listed = (folder / _MOVES).read_bytes().partition(b" ")
    moves = json.loads(listed) if checksum == b"%08x" % zlib.crc32(listed) else None
    if moves and late and _made_since(folder, [*moves["remove"], *moves["move"]]):
        moves = None
    if moves and all((folder / name).exists() for name in moves["move"][-1:]):
        for name in moves["remove"]:
            (folder.parent / name).unlink(missing_ok=True)
        for name in moves["move"]:
            with suppress(FileNotFoundError):  # moved already
                os.replace(folder / name, folder.parent / name)
    shutil.rmtree(folder, ignore_errors=True)


def _made_since(folder: Path, names: Sequence[str]) -> bool:
    """Whether one of these files beside a folder is newer than the folder's list."""
    listed = (folder / _MOVES).stat().st_mtime_ns
    there = (folder.parent / name for name in names)
    return any(each.stat().st_mtime_ns > listed for each in there if each.exists())


def write_text(path: AnyPath, text: str) -> None:
    """Replace a file by this text, in UTF-8; a power cut leaves the old one or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, text.encode(), sync=True)


def write_bytes(
    path: AnyPath, data: bytes | memoryview, *, sync: bool = False, option: str = "--out"
) -> None:
    """Replace a file by these bytes.

    A temporary file is enough here, without a folder around it: this saves several milliseconds on
    some disks, for each part of a raster.

    Args:
        path: of the file; its folder is made where it is missing.
        data: all of its bytes.
        sync: wait until the disk holds them, before the file takes its name.
        option: what the user calls the file's place, for the message.

    Raises:
        OutputError: it cannot be written.
    """
    if isinstance(path, StorePath):
        path.put(data)
        return
    with naming_file(path, option=option), _temporary_path(path) as built:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            built.write_bytes(data)
            if sync:
                sync_file(built)
            os.replace(built, path)
        except BaseException:
            built.unlink(missing_ok=True)
            raise


def sync_file(path: Path) -> None:
    """Wait until the disk holds a file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sweep(folder: AnyPath, abandoned: Collection[str] = (), beginning: str = "") -> None:
    """Finish or remove what killed processes have left in a folder, not below it.

    Several processes may sweep one folder at once. Of files of the `abandoned` names, it also takes
    what other processes, which may be frozen, have begun to build. Those whose names have not this
    `beginning` are left. In a bucket nothing is unfinished.

    Raises:
        OutputError: files that were complete cannot be moved into place.
    """
    if isinstance(folder, StorePath):
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:  # what cannot be listed holds nothing for this run
        return
    for entry in entries:
        match = _TEMPORARY.fullmatch(entry.name)
        if match is None or not match["name"].startswith(beginning):
            continue
        if _is_used(entry, int(match["process"]), match["name"] in abandoned):
            continue
        with (
            _temporary_path(folder / match["name"]) as own,
            suppress(FileNotFoundError, PermissionError),  # another user's
        ):
            os.rename(entry.path, own)  # of several processes one succeeds
            if not entry.is_dir(follow_symlinks=False):
                own.unlink()
                continue
            if (own / _MOVES).exists():
                with naming_file(folder / match["name"]):
                    _finish_moves(own, late=True)
            shutil.rmtree(own, ignore_errors=True)


def _is_used(entry: os.DirEntry[str], process: int, is_abandoned: bool) -> bool:
    """Whether the process of a temporary name still runs, or its number is another one's now."""
    if process == os.getpid():
        return entry.name in _in_use
    if is_abandoned and not Path(entry, _MOVES).exists():
        return False
    import psutil  # takes a while to import, and most folders need no sweeping

    try:
        other = psutil.Process(process)
        ended = other.status() == psutil.STATUS_ZOMBIE
        return not ended and other.create_time() < entry.stat().st_mtime + _CLOCKS
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return True
