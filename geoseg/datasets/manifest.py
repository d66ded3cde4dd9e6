"""The content of a prepared folder: what each file was made from, and whether it is still the same.

Each image becomes one tile of the manifest. A tile is first written to a journal, then its files
get their names, so that a file without a line in the journal is never one of geoseg's; at the end
the journal becomes ``manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoseg.datasets.file_keys import is_raster, is_vector
from geoseg.datasets.layouts import PARTS
from geoseg.datasets.statistics import Statistics
from geoseg.disks import in_the_way
from geoseg.errors import OutputError
from geoseg.files import write_text
from geoseg.listing import list_folder
from geoseg.places import existing_files, refuse_folders
from geoseg.raster import raster_companions
from geoseg.unwritable import naming_file

MANIFEST = "manifest.json"
CLASSES = "classes.yaml"
_JOURNAL = ".manifest.jsonl"
KINDS = ("images", "labels")


@dataclass(frozen=True, slots=True)
class PreparedPair:
    """One image file and its labels file."""

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
class PreparedTile:
    """The files made of one image and its labels."""

    tile: str
    image: str
    """Where it was read."""
    labels: str
    key: str
    """Hash of what it was made from: files, classes, options."""
    pairs: tuple[PreparedPair, ...]
    statistics: dict[str, Statistics]
    """By part."""
    warning: str | None = None

    def files(self) -> list[tuple[str, str]]:
        """Paths below the folder and checksums of all its files."""
        return [file for pair in self.pairs for file in pair.files()]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; `from_json` reads it back."""
        return {
            "tile": self.tile,
            "image": self.image,
            "labels": self.labels,
            "key": self.key,
            "warning": self.warning,
            "tallies": {part: found.to_json() for part, found in self.statistics.items()},
            "files": [asdict(pair) for pair in self.pairs],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PreparedTile:
        """What `to_json` gave."""
        plain = {name: document[name] for name in ("tile", "image", "labels", "key", "warning")}
        pairs = tuple(PreparedPair(**entry) for entry in document["files"])
        statistics = {
            part: Statistics.from_json(entry) for part, entry in document["tallies"].items()
        }
        return cls(**plain, pairs=pairs, statistics=statistics)


class PreparedFolder:
    """A folder that is being prepared, or was.

    Args:
        path: exists when something is written.

    Raises:
        OutputError: its manifest cannot be read, or a folder is in the place of a file.
    """

    def __init__(self, path: Path) -> None:
        refuse_folders([path / name for name in (CLASSES, MANIFEST, _JOURNAL)], option="DST")
        self.path = path
        self.tiles = _read_tiles(path)

    def is_complete(self, tile: str) -> bool:
        """Whether all files of a tile exist."""
        found = self.tiles.get(tile)
        return found is not None and all(self._exists(name) for name, _ in found.files())

    def changed_tiles(
        self, keys: Mapping[str, str], unknown: Collection[str] = ()
    ) -> dict[str, str]:
        """Tiles with files that are not what is wanted, each with the reason.

        Args:
            keys: of the tiles that are wanted.
            unknown: tiles that are wanted too, though their keys cannot be known.
        """
        reasons = {}
        for name, tile in self.tiles.items():
            existing = [file for file in tile.files() if self._exists(file[0])]
            if existing and name not in unknown and keys.get(name) != tile.key:
                why = "was made from other files or with other options"
                if name not in keys:
                    why = "is not wanted now"
                reasons[name] = f"{self.path}: tile {name} exists there and {why}"
                continue
            for file, digest in existing:
                if sha256_of(self.path / file) != digest:
                    reasons[name] = f"{self.path / file}: is not what was written there"
                    break
        return reasons

    def refuse_foreign_files(self) -> None:
        """Refuse to add to files that geoseg did not write; styles and statistics do no harm.

        Raises:
            OutputError: images or labels lie where prepared ones belong, or masks of these.
        """
        known = {self.path / name for tile in self.tiles.values() for name, _ in tile.files()}
        for part in PARTS:
            for kind in KINDS:
                folder = self.path / part / kind
                if words := in_the_way(folder):
                    raise OutputError(f"{words}; move it away, or choose another DST")
                if not folder.is_dir():
                    continue
                refuse_folders([each for each in folder.iterdir() if is_raster(each)], option="DST")
                listing = list_folder(folder, lambda _: False, hidden=True)
                for line in listing.failures.values():
                    raise OutputError(line)
                used = filter(_is_used, listing.files)
                foreign = [path for path in used if path not in known]
                if foreign:
                    raise OutputError(
                        f"{foreign[0]}: was not written by geoseg and would be trained on; move it "
                        "away, or prepare into another folder"
                    )

    def refuse_other_classes(self, classes: str) -> None:
        """Refuse to replace another classes file.

        Raises:
            OutputError: there is one.
        """
        path = self.path / CLASSES
        if path.exists() and path.read_bytes() != classes.encode():
            raise OutputError(
                f"{path}: is not what would be written there; --overwrite replaces it, "
                "another folder keeps it"
            )

    def begin(self) -> None:
        """Drop the last line of the journal where a stopped run has cut it short."""
        journal = self.path / _JOURNAL
        with naming_file(self.path, option="DST"):
            if journal.is_file():
                os.truncate(journal, journal.read_bytes().rfind(b"\n") + 1)

    def remove(self, tile: str) -> None:
        """Remove the files of a tile, and nothing else."""
        for name, _ in self.tiles.pop(tile).files():
            for path in existing_files(self.path / name, raster_companions):
                path.unlink()

    def add(self, tile: PreparedTile, staging: Path) -> None:
        """Take the files of a tile from a staging folder on the same disk, at the same paths there.

        Raises:
            OutputError: they cannot be moved.
        """
        with naming_file(self.path, option="DST"):
            # The journal is on the disk before the first file has its name.
            with (self.path / _JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(tile.to_json()) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
            for name, _ in tile.files():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                for older in existing_files(self.path / name, raster_companions):
                    older.unlink()
                (staging / name).replace(self.path / name)
        self.tiles[tile.tile] = tile

    def finish(self, facts: Mapping[str, Any], classes: str) -> None:
        """Write classes file and manifest, and remove the journal.

        Raises:
            OutputError: a file cannot be written.
        """
        tiles = [self.tiles[tile].to_json() for tile in sorted(self.tiles)]
        manifest = json.dumps({**facts, "tiles": tiles}, indent=1) + "\n"
        for name, text in ((CLASSES, classes), (MANIFEST, manifest)):
            path = self.path / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)
        (self.path / _JOURNAL).unlink(missing_ok=True)

    def _exists(self, name: str) -> bool:
        return (self.path / name).is_file()


def _is_used(path: Path) -> bool:
    """Whether training would read a file, or GDAL read it with one."""
    return path.is_file() and (is_raster(path) or is_vector(path) or path.suffix.lower() == ".msk")


def sha256_of(path: Path) -> str:
    """Checksum of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_tiles(folder: Path) -> dict[str, PreparedTile]:
    """Those of the manifest, then of the journal that a stopped run has left."""
    manifest, journal = folder / MANIFEST, folder / _JOURNAL
    documents: list[dict[str, Any]] = []
    try:
        if manifest.is_file():
            documents += json.loads(manifest.read_text(encoding="utf-8"))["tiles"]
        if journal.is_file():
            lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
            complete = (line for line in lines if line.endswith("\n"))  # the last one may be cut
            documents += map(json.loads, complete)
        tiles = [PreparedTile.from_json(document) for document in documents]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{folder}: its manifest cannot be read ({error}); prepare into another folder"
        ) from error
    return {tile.tile: tile for tile in tiles}
