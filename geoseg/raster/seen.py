"""Several files that are one source, as they were once; the counterpart of `SeenSource`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geoseg.prefetch import look_ahead
from geoseg.raster.fingerprint import SeenSource


@dataclass(frozen=True, slots=True)
class SeenSources:
    """The files of a source as they were once."""

    path: Path
    """By which the source is known."""
    members: tuple[SeenSource, ...]
    fingerprint: str
    """Of all members in their order, and of what is made of them."""

    @classmethod
    def at(cls, path: Path, files: Iterable[Path], facts: str) -> SeenSources:
        """Files as they are now.

        Args:
            path: by which the source is known.
            files: rasters, in the order that counts.
            facts: what is made of them.

        Raises:
            SourceError: one of them cannot be read.
        """
        members = tuple(look.result() for look in look_ahead(SeenSource.at, list(files)))
        digest = hashlib.sha256(facts.encode())
        for member in members:
            digest.update(member.fingerprint.encode())
        return cls(path, members, digest.hexdigest())

    def has_changed(self) -> bool:
        """As `SeenSource.has_changed`: of any file."""
        return any(member.has_changed() for member in self.members)

    def refuse_changed(self, done: str) -> None:
        """As `SeenSource.refuse_changed`: of any file, which is named."""
        for member in self.members:
            member.refuse_changed(done)


Seen = SeenSource | SeenSources
"""A source as it was once."""
