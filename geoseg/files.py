"""Files and folders that others may look at while geoseg writes: replaced whole, locked, swept.

A file is built in a temporary folder beside its final place, under its final base name, and renamed
into place when it is complete. A process that is killed leaves its temporary folder behind; `sweep`
removes what is left of processes that have ended.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from geoseg.errors import FolderInUseError, GeosegError, OutputError

WORK_FOLDER = ".geoseg"
"""Inside an output folder while a run needs it: the lock, and the parts of unfinished rasters."""

_LOCK_ATTEMPTS = 20
"""No more runs than this end one after the other between two steps of one run."""
_SUFFIX = ".geoseg"
"""Of temporary files and folders."""
_TEMPORARY = re.compile(r"\..+\.(?P<process>\d+)-\w+\.geoseg")
"""Their names; the number is the process that made them."""
_FULL_DISK = 1_000_000
"""Bytes. GDAL leaves no more than this of a disk that it has found full."""


@contextmanager
def lock_folder(folder: Path, option: str = "--out", timeout: float = 0) -> Iterator[None]:
    """The folder, created if missing, locked for one run; removed again if it stays empty.

    Args:
        folder: of outputs.
        option: what the user calls it, for messages.
        timeout: seconds to wait for another run to end; below 0, as long as it takes.

    Raises:
        FolderInUseError: another run writes into it.
        OutputError: it cannot be made or written.
    """
    work = folder / WORK_FOLDER
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    lock = FileLock(work / "lock", timeout=timeout)
    try:
        _acquire(lock, work)
    except Timeout:
        raise FolderInUseError(
            f"another run writes into {folder}; wait until it ends or choose another {option}"
        ) from None
    except OSError as error:
        raise OutputError(
            f"output folder {folder} cannot be written ({error.strerror}); choose another {option}"
        ) from error
    try:
        sweep(folder)
        yield
    finally:
        # Before the release: whoever locks a file that is gone notices it, and starts again.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
        for parent in (work, *made):
            with suppress(OSError):  # it is not empty
                parent.rmdir()


def _acquire(lock: FileLock, work: Path) -> None:
    """Make the folder and lock its file.

    Another run that ends in this very moment may take either away between the two steps; then they
    are tried again.
    """
    for left in reversed(range(_LOCK_ATTEMPTS)):
        try:
            work.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (FileExistsError, FileNotFoundError):  # `mkdir` too, if its folder disappears
            if not left:
                raise
        else:
            return


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, on the same disk, removed in the end.

    Raises:
        OSError: the folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{os.getpid()}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replace_file(
    path: Path,
    *,
    sidecars: Callable[[Path], Sequence[Path]] = lambda _: (),
    errors: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[Path]:
    """A path of the same name in a temporary folder, moved to `path` when the block succeeds.

    Sidecars are moved first and the file last, so that a file that exists is complete. Sidecars of
    an older file, which would describe the new one wrongly, are removed. When the block fails,
    `path` stays as it was.

    Args:
        path: the final path; its folder is made where it is missing.
        sidecars: the other files that may belong to a file at a path: built beside it, or left from
            an older one.
        errors: what the block may raise by writing; each becomes an `OutputError`. Give none where
            the block does other work too, and put `naming_file` round what writes.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    with ExitStack() as stack:
        with naming_file(path):
            folder = stack.enter_context(temporary_folder(path))
        built = folder / path.name
        with naming_file(path, errors):
            yield built
        with naming_file(path):
            for new, final in zip(sidecars(built), sidecars(path), strict=True):
                _move_or_remove(new, final)
            os.replace(built, path)


@contextmanager
def naming_file(
    path: Path, errors: tuple[type[Exception], ...] = (OSError,), option: str = "--out"
) -> Iterator[None]:
    """Turn errors of writing a file into an `OutputError` that names it and says what to do.

    Args:
        path: of the file.
        errors: what writing it may raise.
        option: what the user calls the output folder, for the message.

    Raises:
        OutputError: one of `errors` was raised in the block; geoseg's own errors pass as they are.
    """
    try:
        yield
    except GeosegError:
        raise
    except errors as error:
        raise OutputError(
            f"{path}: cannot be written ({_reason(error, path)}); "
            f"free the disk or choose another {option}"
        ) from error


def _move_or_remove(built: Path, final: Path) -> None:
    if built.exists():
        os.replace(built, final)
    else:
        final.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text, in UTF-8; a power cut leaves the old one or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, text.encode(), sync=True)


def write_bytes(path: Path, data: bytes | memoryview, *, sync: bool = False) -> None:
    """Replace a file by these bytes.

    A temporary file is enough here, without a folder around it: this saves several milliseconds on
    some disks, for each part of a raster.

    Args:
        path: of the file; its folder is made where it is missing.
        data: all of its bytes.
        sync: wait until the disk holds them, before the file takes its name.

    Raises:
        OutputError: it cannot be written.
    """
    built = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}{_SUFFIX}")
    with naming_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            built.write_bytes(data)
            if sync:
                with built.open("rb+") as file:
                    os.fsync(file.fileno())
            os.replace(built, path)
        except BaseException:
            built.unlink(missing_ok=True)
            raise


def sweep(folder: Path) -> None:
    """Remove unfinished files of killed processes in a folder, not below it."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            match = _TEMPORARY.fullmatch(entry.name)
            if match is None or _is_running(int(match["process"])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    import psutil  # takes a while to import, and most folders need no sweeping

    return bool(psutil.pid_exists(process))


def _reason(error: Exception, path: Path) -> str:
    """What went wrong, in a few words: GDAL names tags and directories where the disk is full."""
    with suppress(OSError):
        if shutil.disk_usage(path.parent).free < _FULL_DISK:
            return "the disk is full"
    words = str(error.__cause__ or error)  # rasterio has GDAL's words in the cause
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror
    return " ".join(words.split())
