"""Whether a file is still the one it was, and which files geoseg itself has made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from geoseg.errors import SourceError
from geoseg.raster.gdal import open_dataset

TAG = "GEOSEG_FINGERPRINT"
"""The metadata item by which geoseg knows its own rasters and previews, whatever their names."""

_HEADER = 64 * 1024
_SAMPLES = 16
_SAMPLE = 16 * 1024


def source_fingerprint(path: str | Path) -> str:
    """A hash that changes when a source, one of its sidecars, or a file below its VRT changes.

    Of each file: size, modification time, the first 64 KiB, and 16 samples of 16 KiB spread to its
    end. The path is left out, so that a moved folder keeps its fingerprints.

    Returns:
        64 hexadecimal digits.

    Raises:
        SourceError: the source or a file that belongs to it cannot be read.
    """
    digest = hashlib.sha256()
    for file in _files_of(Path(path)):
        try:
            _add_file(digest, file)
        except OSError as error:
            raise SourceError(
                f"{path}: {file} belongs to it and cannot be read ({error.strerror})"
            ) from error
    return digest.hexdigest()


def read_fingerprint(path: str | Path) -> str | None:
    """The fingerprint in a file of geoseg's own making; None in any other file, readable or not."""
    try:
        with open_dataset(Path(path)) as file:
            value = file.tags().get(TAG)
    except SourceError:
        return None
    return str(value) if value else None


def _files_of(path: Path) -> list[Path]:
    """The source, then sidecars and, through VRTs of VRTs, the files below; each once, in order."""
    found = [path]
    for file in found:
        # Only a VRT leads to further images; GDAL lists the sidecars of any image with it.
        if file == path or file.suffix.lower() == ".vrt":
            with open_dataset(file) as dataset:
                found += sorted(other for other in map(Path, dataset.files) if other not in found)
    return found


def _add_file(digest: hashlib._Hash, path: Path) -> None:
    if str(path).startswith("/vsi"):
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
