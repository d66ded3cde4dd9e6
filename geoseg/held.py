"""An output folder that is one run's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from geoseg.errors import OutputError

WORK_FOLDER = ".geoseg"
"""What lives inside an output folder while a run needs it: the lock, and the parts of rasters that are not finished."""

_TRIES = 20
"""More runs than this never end one after the other between two steps of one run."""


@contextmanager
def held(out: Path, name: str = "--out") -> Iterator[None]:
    """The output folder, made, tried, and ours alone; folders that were made and stay empty go again.

    Args:
        out: the folder.
        name: what the user calls it, for messages.

    Raises:
        OutputError: it cannot be made or written, or another run writes into it.
    """
    work = out / WORK_FOLDER
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    lock = FileLock(work / "lock", timeout=0)
    try:
        _acquire(lock, work)
    except Timeout:
        raise OutputError(f"another run writes into {out}; wait for its end or choose another {name}") from None
    except OSError as error:
        raise OutputError(f"output folder {out} cannot be written ({error.strerror}); choose another {name}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # before the release: who locks the file that is gone finds that it is, and starts anew
            Path(lock.lock_file).unlink()
        lock.release()
        for folder in (work, *new):
            with suppress(OSError):  # something lies in it
                folder.rmdir()


def _acquire(lock: FileLock, work: Path) -> None:
    """Make the folder and lock its file.

    Another run that ends in this very moment may take either away between the two steps; then they are tried again.
    """
    for left in reversed(range(_TRIES)):
        try:
            work.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (FileExistsError, FileNotFoundError):  # of `mkdir` too, when its folder goes while it looks
            if not left:
                raise
        else:
            return
