"""Whether a file is still the one it was, and which files geoseg itself has made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geoseg.errors import SourceError
from geoseg.foreign import names_elsewhere
from geoseg.raster.bands import FileBand
from geoseg.raster.gdal import open_dataset, reading_metadata
from geoseg.raster.references import follow_references
from geoseg.raster.tile_index import is_xml, read_tile_index

TAG = "GEOSEG_FINGERPRINT"
"""The metadata item by which geoseg knows its own rasters and previews, whatever their names."""

_DESCRIBING = (
    *(".aux.xml", ".aux", ".rrd", ".ovr", ".prj", ".tab", ".wld", ".tfw", ".tifw", ".tiffw"),
    *(".jgw", ".jpgw", ".jpegw", ".j2w", ".jp2w", ".pgw", ".pngw"),
)
"""Endings of sidecars that hold no pixels: what they say about them is among the facts."""
_STATISTICS = re.compile(
    r'\s*<MDI key="STATISTICS_[^>]*>[^<]*</MDI>|\s*<Histograms>.*?</Histograms>'
    r'| block[XY]Size="\d+"',
    re.DOTALL,
)
"""In the XML of a VRT, what does not decide its pixels; some versions leave blocks' sizes out."""
_NO_METADATA = re.compile(r"\s*<Metadata>\s*</Metadata>")
"""What is left where there were statistics alone."""
_HEADER = 64 * 1024
_SAMPLES = 16
_SAMPLE = 16 * 1024


def source_fingerprint(path: str | Path) -> str:
    """A hash that changes with the pixels of a source, and with what decides what they mean.

    Of the image, its mask file and the files below a VRT or a tile index: size, modification time,
    the first 64 KiB, and 16 samples of 16 KiB spread to the end. Of each image also what GDAL makes
    of it with its sidecars: place, types, nodata, masks, bands. Statistics, histograms and
    overviews that viewers put beside it change nothing; neither does the path, so that a moved
    folder keeps its fingerprints.

    Returns:
        64 hexadecimal digits.

    Raises:
        SourceError: the source or a file that belongs to it cannot be read.
    """
    digest = hashlib.sha256()
    for file, facts, is_told in _files_of(Path(path)):
        digest.update(facts.encode())
        try:
            if not is_told:
                _add_file(digest, file)
        except OSError as error:
            raise SourceError(
                f"{path}: {file} belongs to it and cannot be read ({error.strerror})"
            ) from error
    return digest.hexdigest()


def read_fingerprint(path: str | Path) -> str | None:
    """The fingerprint in a file of geoseg's own making; None in any other file, readable or not."""
    try:
        with open_dataset(Path(path)) as file, reading_metadata(Path(path)):
            value = file.tags().get(TAG)
    except SourceError:
        return None
    return str(value) if value else None


def _files_of(path: Path) -> Iterator[tuple[Path, str, bool]]:
    """The source and all other files that hold its pixels; each once, in order.

    With each file the facts about it, if it is an image, and whether these tell all of its content:
    viewers write into the files of VRTs and tile indexes.
    """
    found = [path]
    for file in found:
        try:
            with open_dataset(file) as dataset:
                facts, driver = _facts(dataset), dataset.driver
                listed = dataset.files
            if driver == "GTI":
                facts += read_tile_index(file).digest
                listed = follow_references(file)
        except SourceError:
            if file == path:
                raise
            facts, driver, listed = "", "", []  # a header, or a file that is gone
        holding = [Path(name) for name in sorted(listed) if not name.lower().endswith(_DESCRIBING)]
        found += [other for other in holding if other not in found]
        yield file, facts, driver == "VRT" or (driver == "GTI" and not is_xml(file))


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
