"""Whether a file is still the one it was, and which files geoseg itself has made."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import SourceError
from geoseg.foreign import names_elsewhere
from geoseg.places import AnyPath
from geoseg.raster.bands import FileBand
from geoseg.raster.content import raster_driver, tiff_metadata
from geoseg.raster.gdal import open_dataset, reading_metadata
from geoseg.raster.references import follow_references
from geoseg.raster.tile_index import is_xml, read_tile_index
from geoseg.remote import RemotePath, source_path
from geoseg.remote_look import last_look
from geoseg.stores import FINGERPRINT, StorePath

TAG = "GEOSEG_FINGERPRINT"
"""The metadata item by which geoseg knows its own rasters and previews, whatever their names."""

_DESCRIBING = (
    *(".aux.xml", ".aux", ".rrd", ".ovr", ".prj", ".tab", ".wld", ".tfw", ".tifw", ".tiffw"),
    *(".jgw", ".jpgw", ".jpegw", ".j2w", ".jp2w", ".pgw", ".pngw"),
)
"""Endings of sidecars that hold no pixels: what they say about them is among the facts."""
_STATISTICS = re.compile(
    r'\s*<MDI key="STATISTICS_[^>]*>[^<]*</MDI>|\s*<Histograms>.*?</Histograms>'
    r'| block[XY]Size="\d+"|\s*<SourceProperties [^>]*/>',
    re.DOTALL,
)
"""In the XML of a VRT, what does not decide its pixels; some versions leave blocks' sizes
out, and GDAL lists the properties of the files below it or not, as these are open or not."""
_NO_METADATA = re.compile(r"\s*<Metadata>\s*</Metadata>")
"""What is left where there were statistics alone."""
_ITEM = re.compile(rf'<Item name="{TAG}">([^<>&\x00-\x1f\x7f-\xff]+)</Item>'.encode())
"""The tag in the XML of a TIFF, of characters that stand there as they are."""
_SETTLED = 2 * 10**9
"""Nanoseconds since its last change after which a file's times would show another one."""
_HEADER = 64 * 1024
_SAMPLES = 16
_SAMPLE = 16 * 1024


class ChangedSourceError(SourceError):
    """A file was replaced while it was read: its pixels are of two files."""

    def __init__(self, path: Path, done: str) -> None:
        super().__init__(
            f"{path}: changed while it was {done}; leave it alone and run the command again"
        )


@dataclass(frozen=True, slots=True)
class SeenSource:
    """A source as it was once."""

    path: Path
    fingerprint: str
    """From `source_fingerprint`."""
    files: tuple[Path, ...]
    """All that it was made from."""
    state: str | None
    """Of these files and their folders, by sizes and times; None where these may not tell."""

    @classmethod
    def at(cls, path: Path) -> SeenSource:
        """A source as it is now.

        Raises:
            SourceError: the source or a file that belongs to it cannot be read.
        """
        fingerprint, files = _fingerprint(path)
        return cls(path, fingerprint, files, _state(files))

    def has_changed(self) -> bool:
        """Whether its pixels, or what they mean, are others now.

        Nothing is opened as long as no file was written and none has come to their folders.

        Raises:
            SourceError: the source or a file that belongs to it cannot be read.
        """
        if self.state is not None and _state(self.files) == self.state:
            return False
        return source_fingerprint(self.path) != self.fingerprint

    def refuse_changed(self, done: str) -> None:
        """Refuse what was read from a source that has been replaced meanwhile.

        Args:
            done: what was done with it: "predicted", "scored" ...

        Raises:
            ChangedSourceError: its pixels, or what they mean, are others now.
            SourceError: the source or a file that belongs to it cannot be read.
        """
        if self.has_changed():
            raise ChangedSourceError(self.path, done)


def _state(files: Sequence[Path]) -> str | None:
    """Digits that differ after any of these files, or their folders, were written.

    None where one was written just now: a second time might leave the same clock.
    """
    try:
        stats = [os.stat(place) for place in dict.fromkeys([*files, *(f.parent for f in files)])]
    except OSError:  # gone, or on a server
        return None
    if time.time_ns() - max(max(each.st_mtime_ns, each.st_ctime_ns) for each in stats) < _SETTLED:
        return None
    facts = [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in stats]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def source_fingerprint(path: str | Path) -> str:
    """A hash that changes with the pixels of a source, and with what decides what they mean.

    Of the image, its mask file and the files below a VRT or a tile index: size, modification time,
    the first 64 KiB, and 16 samples of 16 KiB spread to the end. Of each image also what GDAL makes
    of it with its sidecars: place, types, nodata, masks, bands. Statistics, histograms and
    overviews that viewers put beside it change nothing; neither does the path, so that a moved
    folder keeps its fingerprints. Of a raster elsewhere: its URL without what is signed, and what
    the server says of its content (entity tag, else date, and size); or what the archive says.

    Returns:
        64 hexadecimal digits.

    Raises:
        SourceError: the source or a file that belongs to it cannot be read.
    """
    return _fingerprint(source_path(path))[0]


def _fingerprint(path: Path) -> tuple[str, tuple[Path, ...]]:
    """A source's fingerprint, and all files that it was made from, sidecars too."""
    digest = hashlib.sha256()
    files: dict[Path, None] = {}
    for file, facts, listed, is_told in _files_of(path):
        files.update(dict.fromkeys((file, *listed)))
        digest.update(facts.encode())
        try:
            if not is_told:
                _add_file(digest, file)
        except OSError as error:
            raise SourceError(
                f"{path}: {file} belongs to it and cannot be read ({error.strerror})"
            ) from error
    return digest.hexdigest(), tuple(files)


def read_fingerprint(path: str | AnyPath) -> str | None:
    """The fingerprint in a file of geoseg's own making; None in any other file, readable or not."""
    if isinstance(path, StorePath):
        return path.fact(FINGERPRINT)
    path = Path(path)
    try:
        if not path.is_file():
            return None
        value = _told_by_tiff(path) if raster_driver(path) == "GTiff" else None
        if value is None:
            with open_dataset(path) as file, reading_metadata(path):
                value = file.tags().get(TAG)
    except (SourceError, OSError):
        return None
    return str(value) if value else None


def _told_by_tiff(path: Path) -> str | None:
    """The tag of a TIFF, as GDAL would read it, which takes a hundred times as long to open it.

    Returns:
        Its text; empty where there is none, None where it takes GDAL to tell.
    """
    beside = Path(f"{path}.aux.xml")  # what is said there counts more
    if os.path.lexists(beside) and TAG.encode() in beside.read_bytes():
        return None
    metadata = tiff_metadata(path)
    if TAG.encode() not in metadata:
        return ""
    found = _ITEM.findall(metadata)
    return found[0].decode("ascii") if len(found) == metadata.count(TAG.encode()) == 1 else None


def _files_of(path: Path) -> Iterator[tuple[Path, str, list[Path], bool]]:
    """The source and all other files that hold its pixels; each once, in order.

    With each file the facts about it, if it is an image, the files that it leads to, and whether
    the facts tell all of its content: viewers write into the files of VRTs and tile indexes.
    """
    found = [path]
    for file in found:
        try:
            with open_dataset(file) as dataset:
                facts, driver = _facts(dataset), dataset.driver
                listed = [] if isinstance(path, RemotePath) else dataset.files
            if driver == "GTI":
                facts += read_tile_index(file).digest
                listed = follow_references(file)
        except SourceError:
            if file == path:
                raise
            facts, driver, listed = "", "", []  # a header, or a file that is gone
        others = [Path(name) for name in sorted(listed)]
        holding = [each for each in others if not each.name.lower().endswith(_DESCRIBING)]
        found += [other for other in holding if other not in found]
        yield file, facts, others, driver == "VRT" or (driver == "GTI" and not is_xml(file))


def _facts(file: Any) -> str:
    """What an open dataset says about its pixels: where they lie, what they mean, which count."""
    points, points_crs = file.gcps
    where = (file.shape, file.crs, file.transform, points, points_crs, file.tags(ns="RPC"))
    # ERDAS's overviews call bands Layer_1, ...: names that only count say nothing.
    names = [FileBand(text or "", "").described for text in file.descriptions]
    bands = (file.dtypes, names, file.colorinterp, file.scales, file.offsets)
    sources = file.tags(ns="xml:VRT").get("xml:VRT", "")
    sources = _NO_METADATA.sub("", _STATISTICS.sub("", sources))
    return repr((where, bands, file.nodatavals, file.mask_flag_enums, sources))


def _add_file(digest: hashlib._Hash, path: Path) -> None:
    if isinstance(path, RemotePath):
        digest.update(f"{path.public} {last_look(path).version}".encode())
        return
    if names_elsewhere(path):
        # In an archive or on a server: a file system of GDAL's, which Python cannot read.
        digest.update(str(path).encode())
        return
    facts = path.stat()
    digest.update(f"{facts.st_size} {facts.st_mtime_ns}\n".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_HEADER))
        for step in range(1, _SAMPLES + 1):
            stream.seek(max(0, facts.st_size * step // _SAMPLES - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
