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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from geoseg.errors import GeosegError, OutputError

WORK_FOLDER = ".geoseg"
"""Inside an output folder while a run needs it: the lock, and the parts of unfinished rasters."""

_LOCK_ATTEMPTS = 20
"""No more runs than this end one after the other between two steps of one run."""
_TEMPORARY = re.compile(r"\..+\.(?P<process>\d+)-\w+\.geoseg")
"""Names of temporary folders; the number is the process that made it."""
_FULL_DISK = 1_000_000
"""Bytes. GDAL leaves no more than this of a disk that it has found full."""


@contextmanager
def lock_folder(folder: Path, option: str = "--out") -> Iterator[None]:
    """The folder, made where it is missing, for one run alone; it goes again if it stays empty.

    Args:
        folder: of outputs.
        option: what the user calls it, for messages.

    Raises:
        OutputError: it cannot be made or written, or another run writes into it.
    """
    work = folder / WORK_FOLDER
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    lock = FileLock(work / "lock", timeout=0)
    try:
        _acquire(lock, work)
    except Timeout:
        raise OutputError(
            f"another run writes into {folder}; wait for its end or choose another {option}"
        ) from None
    except OSError as error:
        raise OutputError(
            f"output folder {folder} cannot be written ({error.strerror}); choose another {option}"
        ) from error
    try:
        sweep(folder)
        yield
    finally:
        # Before the release: whoever locks a file that is gone notices it, and starts anew.
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
        except (FileExistsError, FileNotFoundError):  # `mkdir` too, when its folder goes meanwhile
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
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".geoseg", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replace_file(
    path: Path,
    *,
    sidecars: Sequence[str] = (),
    errors: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[Path]:
    """A path of the same name in a temporary folder, moved to `path` when the block succeeds.

    Sidecars are moved first and the file last, so that a file that exists is complete. Sidecars of
    an older file, which would describe the new one wrongly, are removed. When the block fails,
    `path` stays as it was.

    Args:
        path: the final path; its folder is made where it is missing.
        sidecars: what may be added to the name: files built beside it that belong to it.
        errors: what writing may raise; each becomes an `OutputError`.

    Raises:
        OutputError: the disk is full, or the folder or the file cannot be written.
    """
    try:
        with temporary_folder(path) as folder:
            built = folder / path.name
            yield built
            for suffix in sidecars:
                _move_or_remove(
                    built.with_name(built.name + suffix), path.with_name(path.name + suffix)
                )
            os.replace(built, path)
    except GeosegError:
        raise
    except errors as error:
        raise OutputError(
            f"{path}: cannot be written ({_reason(error, path)}); free the disk or choose another --out"
        ) from error


def _move_or_remove(built: Path, final: Path) -> None:
    if built.exists():
        os.replace(built, final)
    else:
        final.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text, in UTF-8.

    Raises:
        OutputError: it cannot be written.
    """
    with replace_file(path) as built:
        built.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by these bytes.

    Raises:
        OutputError: it cannot be written.
    """
    with replace_file(path) as built:
        built.write_bytes(data)


def sweep(folder: Path) -> None:
    """Remove the temporary folders that killed processes have left in a folder; those below it stay."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            match = _TEMPORARY.fullmatch(entry.name)
            if (
                match
                and entry.is_dir(follow_symlinks=False)
                and not _is_running(int(match["process"]))
            ):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_running(process: int) -> bool:
    import psutil  # takes a while to import, and most folders need no sweeping

    return bool(psutil.pid_exists(process))


def _reason(error: Exception, path: Path) -> str:
    """What went wrong, in a few words: GDAL speaks of tags and directories where the disk is full."""
    with suppress(OSError):
        if shutil.disk_usage(path.parent).free < _FULL_DISK:
            return "the disk is full"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())
