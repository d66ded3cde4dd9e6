"""A few lines that read a TIFF's directories, so that its layout can be checked without GDAL."""

import struct
from dataclasses import dataclass

import pytest

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 16: 8}
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass
class Directory:
    offset: int
    tags: dict[int, list[int]]

    def tag(self, number, default=None):
        return self.tags.get(number, default)

    @property
    def kind(self):
        """0 image, 1 overview, 4 mask, 5 mask of an overview."""
        return self.tag(254, [0])[0]

    @property
    def shape(self):
        return self.tag(257)[0], self.tag(256)[0]

    @property
    def tile_shape(self):
        return self.tag(323)[0], self.tag(322)[0]

    @property
    def tiles(self):
        """(offset, bytes) of each tile."""
        return list(zip(self.tag(324), self.tag(325), strict=True))


@pytest.fixture
def tiff_directories():
    """The directories of a TIFF's bytes, in file order."""
    return _directories


def _directories(content):
    assert content[:2] == b"II"
    big = struct.unpack_from("<H", content, 2)[0] == 43
    (offset,) = struct.unpack_from("<Q" if big else "<I", content, 8 if big else 4)
    found = []
    while offset:
        directory, offset = _directory(content, offset, big)
        found.append(directory)
    return found


def _directory(content, start, big):
    count_format, entry, inline = ("<Q", 20, 8) if big else ("<H", 12, 4)
    (count,) = struct.unpack_from(count_format, content, start)
    place = start + struct.calcsize(count_format)
    tags = {}
    for _ in range(count):
        number, kind, values = struct.unpack_from("<HHQ" if big else "<HHI", content, place)
        at = place + entry - inline
        if _SIZES[kind] * values > inline:
            (at,) = struct.unpack_from("<Q" if big else "<I", content, at)
        if kind in _FORMATS:
            tags[number] = list(struct.unpack_from(f"<{values}{_FORMATS[kind]}", content, at))
        place += entry
    (following,) = struct.unpack_from("<Q" if big else "<I", content, place)
    return Directory(start, tags), following
