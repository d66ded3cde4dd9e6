"""One run at a time in an output folder, or on one file of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from geoseg.disks import in_the_way
from geoseg.errors import FolderInUseError, OutputError
from geoseg.files import sweep
from geoseg.leases import lease
from geoseg.places import SITE, AnyPath, building_site
from geoseg.stores import StorePath

WORK_FOLDER = ".geoseg"
"""Inside an output folder while a run needs it: the lock, and the parts of unfinished rasters."""

_LOCK_ATTEMPTS = 20
"""No more runs than this end one after the other between two steps of one run."""


def lock_folder(
    folder: AnyPath, option: str = "--out", timeout: float = 0
) -> AbstractContextManager[Callable[[], None]]:
    """The folder, created if missing, locked for one run; removed again if it stays empty.

    What killed runs have left unfinished there is finished or removed. What the context gives is to
    be called now and then: it raises a StoreError if the lock of a folder in a bucket is lost.

    Args:
        folder: of outputs.
        option: what the user calls it, for messages.
        timeout: seconds to wait for another run to end; below 0, as long as it takes.

    Raises:
        FolderInUseError: another run writes into it.
        OutputError: it cannot be made or written.
    """
    refusal = f"another run writes into {folder}; wait until it ends or choose another {option}"
    if isinstance(folder, StorePath):
        return _leased(folder, refusal)
    return _locked(folder, "lock", refusal, option, timeout)


def lock_file(path: Path, option: str = "--out") -> AbstractContextManager[Callable[[], None]]:
    """The folder of a file as `lock_folder` gives it, but only this file locked.

    Raises:
        FolderInUseError: another run writes this file.
        OutputError: its folder cannot be made or written.
    """
    refusal = f"another run writes {path}; wait until it ends or choose another {option}"
    return _locked(path.parent, f"{path.name}.lock", refusal, option, 0)


@contextmanager
def _leased(folder: StorePath, refusal: str) -> Iterator[Callable[[], None]]:
    with lease(folder / WORK_FOLDER / "lock", refusal) as refuse_lost:
        sweep(building_site(folder).parent, beginning=SITE)
        yield refuse_lost


@contextmanager
def _locked(
    folder: Path, name: str, refusal: str, option: str, timeout: float
) -> Iterator[Callable[[], None]]:
    work = folder / WORK_FOLDER
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    lock = FileLock(work / name, timeout=timeout)
    try:
        _acquire(lock, work)
    except Timeout:
        raise FolderInUseError(refusal) from None
    except OSError as error:
        _remove_empty(work, *made)
        reason = in_the_way(folder) or error.strerror
        raise OutputError(
            f"output folder {folder} cannot be written ({reason}); choose another {option}"
        ) from error
    try:
        sweep(folder)
        sweep(work)
        yield lambda: None
    finally:
        # Before the release: whoever locks a file that is gone notices it, and starts again.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
        _remove_empty(work, *made)


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with suppress(OSError):  # it is not empty, or was never made
            folder.rmdir()


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
