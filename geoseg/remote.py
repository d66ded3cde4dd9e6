"""Names of rasters on servers, in buckets and in archives, as the user gives them.

    https://HOST/a.tif   s3://BUCKET/a.tif   gs://...   az://...   zip+https://HOST/a.zip!a.tif
    /vsicurl/https://HOST/a.tif   /vsis3/...   /vsigs/...   /vsiaz/...   /vsizip/a.zip/a.tif

A signed URL is a secret: what is shown, and what outputs are named after, ends before its query.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from geoseg.foreign import HIDDEN, name_of, names_elsewhere, remote_allowed, without_secrets

if TYPE_CHECKING:
    _LocalPath = Path
else:
    _LocalPath = type(Path())  # that of this machine, which alone can be inherited from
_LOCAL: Any = _LocalPath

_SYSTEMS = {"http": "/vsicurl/http://", "https": "/vsicurl/https://"} | {
    scheme: f"/vsi{scheme}/" for scheme in ("s3", "gs", "az")
}
"""GDAL's file systems by the schemes of URLs."""
_URL = re.compile(r"(https?|s3|gs|az)://(.+)", re.IGNORECASE)
_VSI = re.compile(r"/vsi(curl|s3|gs|az)/(.+)")
_ZIP = re.compile(r"zip(?:\+file)?://(.+?)!/*(.*)|zip\+((?:https?|s3|gs|az)://.+?)!/*(.*)", re.I)
_VSIZIP = re.compile(r"/vsizip/(?:\{(.+?)\}|(.+?\.zip))/*([^{}]*)", re.IGNORECASE)
_TELLING = 4
"""Characters of a query that are secret; fewer may be part of a word."""
_NO_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f]')


class _Parts(NamedTuple):
    gdal: str
    place: str
    member: str = ""


class RemotePath(_LocalPath):
    """A raster that GDAL reads elsewhere than among the files of this machine; see `source_path`.

    As text it is what the user gave, without what is secret. It has a name, a stem and a parent as
    a `Path` has; Python finds no file there.
    """

    gdal: str
    """GDAL's name, a signature included."""
    place: str
    """What is asked about the image: its URL, or that of its archive; or an archive's path."""
    member: str
    """Within an archive; empty where there is none."""
    text: str
    """As it is shown."""

    def __new__(cls, gdal: str, place: str, member: str, text: str) -> RemotePath:
        """See `source_path`."""
        made = super().__new__(cls, text)
        made.gdal, made.place, made.member, made.text = gdal, place, member, text
        return made

    # What is made of one, `with_name` and the like, is a mere name.
    if sys.version_info >= (3, 12):

        def __init__(self, *_: str) -> None:
            super().__init__(self.text)

        def with_segments(self, *segments: str | os.PathLike[str]) -> Path:  # type: ignore[override]
            """A plain path."""
            return Path(*segments)

    else:

        @classmethod
        def _from_parsed_parts(cls, *parts: Any) -> Path:
            made: Path = _LOCAL._from_parsed_parts(*parts)
            return made

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath, (self.gdal, self.place, self.member, self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"RemotePath({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.gdal == other.gdal

    def __hash__(self) -> int:
        return hash(self.gdal)

    @property
    def on_server(self) -> bool:
        """Whether a server is asked; else it lies in an archive of this machine."""
        return _URL.match(self.place) is not None

    @property
    def public(self) -> str:
        """GDAL's name without what is secret."""
        return without_secrets(self.gdal).replace(HIDDEN, "")

    @property
    def href(self) -> str:
        """As documents refer to it, likewise."""
        return self.text if self.member else without_secrets(self.place).replace(HIDDEN, "")

    @property
    def name(self) -> str:
        """The last part, as a file of this machine may be called."""
        last = (self.member or self.public).rstrip("/").rpartition("/")[2]
        name = _NO_NAME.sub("_", unquote(last) if self.place.lower().startswith("http") else last)
        return "image" if name in ("", ".", "..") else name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot on."""
        return Path(self.name).suffix

    @property
    def parent(self) -> Path:  # type: ignore[override]
        """The folder: nothing but a name."""
        return Path(self.text.removesuffix(HIDDEN)).parent

    def beside(self, name: str) -> Path:
        """A file named from the folder that this one lies in, with the same query."""
        if self.member:
            member = posixpath.normpath(posixpath.join(posixpath.dirname(self.member), name))
            return source_path(f"/vsizip/{{{self.place}}}/{member}")
        place, mark, query = self.place.partition("?")
        scheme, _, rest = place.partition("://")
        host, _, own = rest.partition("/")
        path = posixpath.normpath(posixpath.join("/", posixpath.dirname(own), name))
        return source_path(f"{scheme}://{host}{path}{mark}{query}")

    def hide(self, words: str) -> str:
        """Words of GDAL without what is secret, of which they may hold a part."""
        query = self.place.partition("?")[2] if self.place.lower().startswith("http") else ""
        pieces = {query, *query.split("/")}
        for piece in sorted(pieces, key=len, reverse=True):
            words = words.replace(piece, "...") if len(piece) >= _TELLING else words
        return without_secrets(words)

    def absolute(self) -> RemotePath:
        """It is so always."""
        return self


def source_path(given: str | os.PathLike[str]) -> Path:
    """The path of a raster that a user names: of this machine, or elsewhere."""
    if isinstance(given, RemotePath):
        return given
    name = given if isinstance(given, str) else name_of(given)
    if os.path.lexists(name):
        return Path(given)
    name = name.strip()
    if name.lower().startswith("http"):
        name = name.replace(" ", "%20")  # which no server takes
    parts = _parts(name)
    return Path(given) if parts is None else RemotePath(*parts, without_secrets(name))


def path_beside(folder: Path, name: str) -> Path:
    """The path of a raster that a file in a folder names: elsewhere only with the user's leave."""
    named = source_path(name)
    if isinstance(named, RemotePath) and remote_allowed():
        return named
    return Path(without_secrets(name)) if names_elsewhere(name) else folder / name


def _parts(name: str) -> _Parts | None:
    """What a name says; None where it names no raster elsewhere."""
    if found := _URL.fullmatch(name):
        return _Parts(_SYSTEMS[found[1].lower()] + found[2], name)
    if found := _VSI.fullmatch(name):
        place = found[2] if found[1] == "curl" else f"{found[1]}://{found[2]}"
        return _Parts(name, place) if _URL.fullmatch(place) else None
    if found := _ZIP.fullmatch(name):
        return _in_archive(found[1] or found[3], found[2] or found[4] or "")
    if found := _VSIZIP.fullmatch(name):
        return _in_archive(found[1] or found[2], found[3])
    return None


def _in_archive(archive: str, member: str) -> _Parts | None:
    inner = _parts(archive)
    if inner is not None:
        return None if inner.member else _Parts(_zipped(inner.gdal, member), inner.place, member)
    if archive.startswith("/vsi"):
        return None
    place = os.path.abspath(archive)
    return _Parts(_zipped(place, member), place, member)


def _zipped(archive: str, member: str) -> str:
    return f"/vsizip/{{{archive}}}/{member}"
