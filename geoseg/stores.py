"""Folders and files in a bucket on a server: ``s3://``, ``gs://`` and ``az://``, through obstore.

A path in a bucket can do what geoseg needs of `pathlib.Path`. It is no path of this machine, and no
`os.PathLike`: whatever takes those refuses it, where a `Path` would make ``s3:/`` of ``s3://``. An
object has its name when it is whole, for a PUT is one step, also where it is sent in pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple

from geoseg.buckets import FEW, asking, client, library

FINGERPRINT = "fingerprint"
"""The fact what an object was made from."""
_FACT = "geoseg"
"""How the names of facts begin in an object's metadata; Azure takes letters and digits only."""
_NONE: Mapping[str, str] = {}
_PIECE = 8 * 2**20
"""Bytes that a large file is sent and fetched in at a time; four pieces are sent at once."""
_MOST_PIECES = 9_000
"""Servers take 10,000."""


_guards: dict[StorePath, Callable[[], None]] = {}
"""Of folders whose lock this process holds: what raises once it is lost."""


@contextmanager
def guarded(folder: StorePath, refuse_lost: Callable[[], None]) -> Iterator[None]:
    """Ask, before each change below a folder, whether its lock is still this process's.

    A process that was frozen wakes in the middle of something, and would undo what those have done
    who took the lock over: what it was about to put or remove, and what it tidies up as it ends.

    Args:
        folder: no other one of this process lies in it, or around it.
        refuse_lost: raises where the lock is lost.
    """
    _guards[folder] = refuse_lost
    try:
        yield
    finally:
        del _guards[folder]


class Version(NamedTuple):
    """Which content of an object it was."""

    e_tag: str | None
    number: str | None
    """Servers use one or the other."""
    changed: float = 0.0
    """When, by the server's clock, in seconds; 0 of what is just written."""


@dataclass(frozen=True, slots=True, order=True)
class StorePath:
    """A place in a bucket, as `Path` is one on this machine.

    Of its methods, all that ask the server raise `StoreError` where that does not answer or denies
    access, and FileNotFoundError where there is no such object.
    """

    bucket: str
    """With its scheme: ``s3://bucket``."""
    key: PurePosixPath

    def __str__(self) -> str:
        return "/".join([self.bucket, *self.key.parts])

    def __truediv__(self, other: str | PurePath) -> StorePath:
        below = other.as_posix() if isinstance(other, PurePath) else other
        return StorePath(self.bucket, self.key / below)

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.key.stem

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot on."""
        return self.key.suffix

    @property
    def parent(self) -> StorePath:
        """The folder that it is in."""
        return StorePath(self.bucket, self.key.parent)

    def with_name(self, name: str) -> StorePath:
        """Its neighbour of another name."""
        return StorePath(self.bucket, self.key.with_name(name))

    def with_suffix(self, suffix: str) -> StorePath:
        """Its neighbour with another suffix."""
        return StorePath(self.bucket, self.key.with_suffix(suffix))

    def absolute(self) -> StorePath:
        """It is so always."""
        return self

    def exists(self) -> bool:
        """Whether there is an object of this name."""
        return self.size() is not None

    is_file = exists

    def is_dir(self) -> bool:
        """Never: a folder is nothing but the beginning of names, and can have an object's."""
        return False

    def size(self) -> int | None:
        """Bytes of the object; None where there is none."""
        try:
            return int(self._get(head=True).meta["size"])
        except FileNotFoundError:
            return None

    def fact(self, name: str) -> str | None:
        """What was put with the object; None of another one's, and where there is none."""
        try:
            found = self._get(head=True).attributes.get(f"{_FACT}{name}")
        except FileNotFoundError:
            return None
        return None if found is None else str(found)

    def version(self) -> Version:
        """Which content it has now."""
        meta = self._get(head=True).meta
        return Version(meta["e_tag"], meta["version"], meta["last_modified"].timestamp())

    def head(self, size: int, tries: int) -> tuple[dict[str, Any], bytes]:
        """What the server says of the object, and its first bytes, in one request.

        Args:
            size: bytes.
            tries: repetitions, where the server does not answer.
        """
        with asking(self.bucket, str(self)):
            store = client(self.bucket, tries=tries)
            found = library().get(store, str(self.key), options={"range": (0, size)})
            return dict(found.meta), bytes(found.bytes())

    def read_bytes(self) -> bytes:
        """All of the object."""
        with asking(self.bucket, str(self)):
            return bytes(self._get(head=False).bytes())

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Likewise, as text."""
        return self.read_bytes().decode(encoding, errors)

    def fetch(self, file: Path) -> None:
        """Write the object into a file of this machine."""
        with file.open("wb") as out, asking(self.bucket, str(self)):
            for piece in self._get(head=False).stream(min_chunk_size=_PIECE):
                out.write(piece)

    def put(self, content: bytes | memoryview | Path, facts: Mapping[str, str] = _NONE) -> None:
        """Replace the object in one step.

        Args:
            content: all of it, or a file of this machine that has it.
            facts: about it, so that nobody has to open it; 2 kB at most.
        """
        self._refuse_lost()
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        with asking(self.bucket, str(self)):
            library().put(
                client(self.bucket),
                str(self.key),
                content,
                attributes={f"{_FACT}{name}": text for name, text in facts.items()} or None,
                chunk_size=max(_PIECE, -(-size // _MOST_PIECES)),
                max_concurrency=4,
            )

    def put_if(self, content: bytes, version: Version | None) -> Version:
        """Make the object, or replace one version of it; a server that is away is not waited for.

        Args:
            content: all of it, small.
            version: the one to replace; None: there must be no such object.

        Raises:
            ConflictError: there is one, or it is another version.
        """
        mode: Any = "create"
        if version is not None:
            named = (("e_tag", version.e_tag), ("version", version.number))
            mode = {name: value for name, value in named if value is not None}
        with asking(self.bucket, str(self)):
            made = library().put(
                client(self.bucket, tries=FEW),
                str(self.key),
                content,
                mode=mode,
                use_multipart=False,
            )
        return Version(made["e_tag"], made["version"])

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object; most servers do not say whether there was one."""
        self._refuse_lost()
        try:
            with asking(self.bucket, str(self)):
                library().delete(client(self.bucket), str(self.key))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def listed(self) -> tuple[list[StorePath], list[StorePath]]:
        """The folders and the objects in this folder."""
        with asking(self.bucket, str(self)):
            found = library().list_with_delimiter(client(self.bucket), self._prefix)
        objects = [each["path"] for each in found["objects"]]
        return self._all(found["common_prefixes"]), self._all(objects)

    def _all(self, keys: list[str]) -> list[StorePath]:
        return [StorePath(self.bucket, PurePosixPath(key)) for key in keys]

    def remove_tree(self) -> None:
        """Remove all that lies below this folder."""
        with asking(self.bucket, str(self)):
            for found in library().list(client(self.bucket), self._prefix):
                self._refuse_lost()
                library().delete(client(self.bucket), [each["path"] for each in found])

    def refuse_unusable(self) -> None:
        """Refuse a bucket that is missing, or must not be looked into.

        Raises:
            ConfigError: obstore is not installed, or nothing says who asks.
            StoreError: there is no such bucket, or the server denies access or does not answer.
        """
        with asking(self.bucket, str(self)):
            store = client(self.bucket, tries=FEW)  # it is waited for later, not here
            next(iter(library().list(store, self._prefix, chunk_size=1)), None)

    def _refuse_lost(self) -> None:
        """Refuse to change what lies in a folder whose lock this process has lost."""
        for folder, refuse_lost in list(_guards.items()):
            if folder.bucket == self.bucket and self.key.is_relative_to(folder.key):
                refuse_lost()

    @property
    def _prefix(self) -> str | None:
        return "/".join(self.key.parts) or None

    def _get(self, *, head: bool) -> Any:
        with asking(self.bucket, str(self)):
            return library().get(client(self.bucket), str(self.key), options={"head": head})
