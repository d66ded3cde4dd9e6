"""A lock in a bucket: an object that its owner replaces now and then, and others may take over.

create          there is no such object (the server sees to it that one of two succeeds)
renew           it is still the version that was written last
take over       its version has not changed for `LEASE_SECONDS`, by the server's clock
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from geoseg.buckets import ConflictError, note_silence
from geoseg.errors import FolderInUseError, StoreError
from geoseg.stores import StorePath, Version, guarded

RENEWAL_SECONDS = 30.0
LEASE_SECONDS = 120.0
"""After its last renewal, a lock counts as left behind by a run that was killed."""

_ATTEMPTS = 20
"""No more runs than this end one after the other between two steps of one run."""


@contextmanager
def lease(path: StorePath, refusal: str) -> Iterator[Callable[[], None]]:
    """Hold a lock, renewed by a thread.

    Args:
        path: of its object.
        refusal: what is said while another one holds it, before what to do.

    Yields:
        What raises a StoreError once the lock is lost; to be called now and then. So does
        whatever would change something in the folder of the lock's folder.

    Raises:
        FolderInUseError: another one holds it.
    """
    held = _Lease(path, refusal)
    thread = threading.Thread(target=held.keep, name="geoseg-lease", daemon=True)
    thread.start()
    try:
        with guarded(path.parent.parent, held.refuse_lost):
            yield held.refuse_lost
    finally:
        held.ended.set()
        thread.join()
        held.release()


class _Lease:
    """A lock that is held."""

    def __init__(self, path: StorePath, refusal: str) -> None:
        self.ended = threading.Event()
        self._path = path
        self._owner = {"host": socket.gethostname(), "process": os.getpid(), "id": uuid.uuid4().hex}
        self._renewals = 0
        self._lost = False
        self._renewed = _now()
        self._version = self._acquire(refusal)

    def refuse_lost(self) -> None:
        """Refuse to go on without the lock.

        Raises:
            StoreError: another one has taken it over, or may do so by now.
        """
        silent = _now() - self._renewed
        if self._lost or silent > LEASE_SECONDS:
            reason = "another run has taken it over"
            if not self._lost:
                reason = f"for {silent:.0f} s the server was not told that this run goes on"
            raise StoreError(
                f"{self._path.parent.parent}: the lock of this run is lost ({reason}); "
                "the same command continues when no other run writes there"
            )

    def keep(self) -> None:
        """Renew the lock until it is released or lost."""
        wait = RENEWAL_SECONDS
        while not self.ended.wait(wait) and not self._lost:
            started = _now()
            try:
                self._version = self._write(self._version)
            except ConflictError:
                self._lost = True
            except StoreError:  # it is tried again; how long, `refuse_lost` says
                wait = RENEWAL_SECONDS / 10
                note_silence(self._path.bucket, _now() - self._renewed)
            else:
                self._renewed, wait = started, RENEWAL_SECONDS

    def release(self) -> None:
        """Remove the lock, unless it is another one's by now."""
        with suppress(FileNotFoundError, StoreError):  # it ends by itself, too
            if not self._lost and self._is_own():
                self._path.unlink(missing_ok=True)

    def _acquire(self, refusal: str) -> Version:
        for _ in range(_ATTEMPTS):
            with suppress(ConflictError):
                return self._write(None)
            with suppress(FileNotFoundError):  # it was released meanwhile
                return self._take_over(refusal)
        raise FolderInUseError(refusal)

    def _write(self, version: Version | None) -> Version:
        """Create or renew the lock.

        Raises:
            ConflictError: it is another one's.
        """
        # Each time something new: of equal content, servers make the same version.
        self._renewals += 1
        content = json.dumps({**self._owner, "renewals": self._renewals}).encode()
        try:
            return self._path.put_if(content, version)
        except ConflictError:
            # The answer to a request may be lost, which then meets itself.
            with suppress(FileNotFoundError):
                found = self._path.version()
                if self._path.read_bytes() == content:
                    return found
            raise

    def _take_over(self, refusal: str) -> Version:
        """Take over a lock that is not renewed any more.

        Raises:
            FolderInUseError: it is, or yet another one has taken it over.
        """
        found = self._path.version()
        owner = self._owner_of(self._path.read_bytes())
        holder = f"process {owner.get('process')} on {owner.get('host')}"
        age = _server_time(self._path) - found.changed
        if age > LEASE_SECONDS:
            with suppress(ConflictError):
                return self._write(found)
        raise FolderInUseError(
            f"{refusal}; {holder} was heard of {age:.0f} s ago: if it was killed, "
            f"the same command continues {max(0.0, LEASE_SECONDS - age):.0f} s from now"
        )

    def _is_own(self) -> bool:
        return bool(self._owner_of(self._path.read_bytes()).get("id") == self._owner["id"])

    @staticmethod
    def _owner_of(content: bytes) -> dict[str, Any]:
        """What an owner says of itself; nothing where the object is none of geoseg's."""
        try:
            return dict(json.loads(content))
        except (TypeError, ValueError):
            return {}


def _now() -> float:
    """Seconds; of a clock that on Linux goes on while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _server_time(lock: StorePath) -> float:
    """Now, by the clock of the server of a lock, in seconds."""
    probe = lock.with_name(f"token-{uuid.uuid4().hex}")
    probe.put(b"")
    now = probe.version().changed
    probe.unlink()
    return now
