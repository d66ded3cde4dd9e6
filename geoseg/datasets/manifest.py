"""What stands in a prepared folder, from what it was made, and whether it is still what was written.

Each image becomes one entry. Entries are first noted in a journal, then their files get their names, so that a file
without an entry is never one of ours; at the end the journal becomes ``manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoseg.datasets.splits import PARTS
from geoseg.datasets.tally import Tally
from geoseg.errors import OutputError
from geoseg.files import temporary_folder

MANIFEST = "manifest.json"
CLASSES = "classes.yaml"
_JOURNAL = ".manifest.jsonl"
KINDS = ("images", "labels")


@dataclass(frozen=True, slots=True)
class Made:
    """One pair of files."""

    part: str
    images: str
    """Path of the image below the folder."""
    labels: str
    images_sha256: str
    labels_sha256: str
    row: int
    """First row in the image that it was cut from."""
    col: int
    """First column."""

    def files(self) -> list[tuple[str, str]]:
        """Paths below the folder and their checksums."""
        return [(self.images, self.images_sha256), (self.labels, self.labels_sha256)]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one image and its labels have become."""

    tile: str
    image: str
    """Where it was read."""
    labels: str
    key: str
    """Hash of what it was made from: files, classes, options."""
    made: tuple[Made, ...]
    tallies: dict[str, Tally]
    """By part."""
    warning: str | None = None

    def names(self) -> list[str]:
        """Of all its files, below the folder."""
        return [name for made in self.made for name, _ in made.files()]

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        plain = {"tile": self.tile, "image": self.image, "labels": self.labels, "key": self.key}
        tallies = {part: tally.document() for part, tally in self.tallies.items()}
        return plain | {
            "warning": self.warning,
            "tallies": tallies,
            "files": [asdict(made) for made in self.made],
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Entry:
        """What `document` gave."""
        tallies = {part: Tally.read(tally) for part, tally in document["tallies"].items()}
        made = tuple(Made(**entry) for entry in document["files"])
        plain = {name: document[name] for name in ("tile", "image", "labels", "key", "warning")}
        return cls(**plain, made=made, tallies=tallies)


class Folder:
    """A prepared folder.

    Args:
        path: is there when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = _read_entries(path)

    def done(self, tile: str) -> bool:
        """Whether all files of a tile stand."""
        entry = self.entries.get(tile)
        return entry is not None and all((self.path / name).is_file() for name in entry.names())

    def differing(self, keys: Mapping[str, str]) -> dict[str, str]:
        """Tiles of which something stands that is not what is wanted, each with the reason.

        Args:
            keys: of the tiles that are wanted.
        """
        found = {}
        for tile, entry in self.entries.items():
            standing = [
                file
                for made in entry.made
                for file in made.files()
                if (self.path / file[0]).is_file()
            ]
            if standing and keys.get(tile) != entry.key:
                what = (
                    "was made from other files or with other options"
                    if tile in keys
                    else "is not wanted now"
                )
                found[tile] = f"{self.path}: tile {tile} stands there and {what}"
            else:
                changed = (
                    name for name, digest in standing if sha256_of(self.path / name) != digest
                )
                if name := next(changed, None):
                    found[tile] = f"{self.path / name}: is not what was written there"
        return found

    def refuse_strangers(self) -> None:
        """Refuse to add to files that geoseg did not write.

        Raises:
            OutputError: some lie where prepared ones belong.
        """
        known = {name for entry in self.entries.values() for name in entry.names()}
        for path in self._standing():
            if path.relative_to(self.path).as_posix() not in known:
                raise OutputError(
                    f"{path}: was not written by geoseg and would be learnt from; move it away, or prepare into "
                    "another folder"
                )

    def begin(self) -> None:
        """End a line of the journal that a stopped run has cut short."""
        try:
            journal = self.path / _JOURNAL
            if journal.is_file():
                written = journal.read_bytes()
                os.truncate(journal, written.rfind(b"\n") + 1)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); choose another folder"
            ) from error

    def remove(self, tile: str) -> None:
        """Remove the files of a tile, and nothing else."""
        for name in self.entries.pop(tile).names():
            (self.path / name).unlink(missing_ok=True)

    def add(self, entry: Entry, staging: Path) -> None:
        """Take the files of an entry from a staging folder on the same disk, where they lie under their paths.

        Raises:
            OutputError: they cannot be moved.
        """
        try:
            with (self.path / _JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(entry.document()) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
            for name in entry.names():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staging / name, self.path / name)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); free the disk"
            ) from error
        self.entries[entry.tile] = entry

    def finish(self, facts: Mapping[str, Any], classes: str) -> None:
        """Write classes file and manifest; the journal goes."""
        tiles = [self.entries[tile].document() for tile in sorted(self.entries)]
        for name, text in (
            (CLASSES, classes),
            (MANIFEST, json.dumps({**facts, "tiles": tiles}, indent=1) + "\n"),
        ):
            path = self.path / name
            try:
                if path.is_file() and path.read_text(encoding="utf-8") == text:
                    continue
                with temporary_folder(path) as folder:
                    (folder / name).write_text(text, encoding="utf-8")
                    os.replace(folder / name, path)
            except OSError as error:
                raise OutputError(
                    f"{path}: cannot be written ({error.strerror}); free the disk"
                ) from error
        (self.path / _JOURNAL).unlink(missing_ok=True)

    def _standing(self) -> list[Path]:
        """All files where prepared ones belong."""
        folders = [self.path / part / kind for part in PARTS for kind in KINDS]
        return sorted(
            path
            for folder in folders
            if folder.is_dir()
            for path in folder.iterdir()
            if path.is_file()
        )


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_entries(path: Path) -> dict[str, Entry]:
    """Of the manifest, then of the journal that a stopped run has left."""
    documents: list[dict[str, Any]] = []
    manifest, journal = path / MANIFEST, path / _JOURNAL
    try:
        if manifest.is_file():
            documents += json.loads(manifest.read_text(encoding="utf-8"))["tiles"]
        if journal.is_file():
            lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
            documents += [
                json.loads(line) for line in lines if line.endswith("\n")
            ]  # the last one may be cut short
        entries = [Entry.read(document) for document in documents]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path}: its manifest cannot be read ({error}); prepare into another folder"
        ) from error
    return {entry.tile: entry for entry in entries}
