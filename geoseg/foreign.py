"""Files of unknown makers: XML read within limits, and leave to let them lead to a server.

Nothing that a file says may reach the network, unless the user gives leave (``--allow-remote``).
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from xml.parsers import expat

from geoseg.buckets import is_store_url
from geoseg.errors import ConfigError, GeosegError

Result = TypeVar("Result")

MOST_XML = 64 * 2**20
"""Bytes of an XML file; a VRT of 100,000 files has some 40 MB."""
DEEPEST_XML = 64
"""Elements within elements; a VRT has some ten."""

_LEAVE = "GEOSEG_ALLOW_REMOTE"
"""In the environment, so that worker processes have the leave too."""
_ELSEWHERE = re.compile(r"/vsi\w|^\s*[A-Za-z][\w+.-]+:", re.IGNORECASE)
"""A virtual file system of GDAL's, a URL, or a name that chooses a driver; C: is a drive."""
HIDDEN = "?..."
"""In place of the query of a URL."""
_USER = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"(https?:/+[^?\s'\"{}!]*)\?(?!\.\.\.)[^\s'\"{}!]*", re.IGNORECASE)
_NAMED = re.compile(r"/vsi\w+/|[A-Za-z][\w+.-]+:/", re.IGNORECASE)
"""How names of servers and archives begin, also where `Path` has taken a slash out of them."""


class UnsafeXMLError(GeosegError, ValueError):
    """XML that is malformed, too large or too deep, or declares entities."""


class XMLValue(NamedTuple):
    """An attribute, or a run of text in an element."""

    name: str
    """In lower case, as GDAL compares names. An element's is followed by a colon and its ``key`` or
    ``name`` where it has one (``mdi:overview_file``); an attribute's follows an @."""
    text: str


def remote_allowed() -> bool:
    """Whether files may lead to a server now."""
    return os.environ.get(_LEAVE) == "1"


@contextmanager
def allow_remote(allowed: bool = True) -> Iterator[None]:
    """Give the whole process, and worker processes started in it, leave; or take it away."""
    before = os.environ.get(_LEAVE)
    os.environ[_LEAVE] = "1" if allowed else "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_LEAVE]
        else:
            os.environ[_LEAVE] = before


_NO_PATHS = ("crs", "scheduler")
"""Options that may look like a server's address and are no file to read."""
_RASTERS = ("sources", "file", "rasters", "confidence", "stack")
"""Options that name rasters, which may lie on servers: the user has named these alone."""
_OUTPUTS = ("out", "dst", "plot")
_HUB = "hf://"
"""How names of models of a hub begin: the user has named these alone, too."""


def with_allow_remote(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command the option ``allow_remote``, by default False.

    The command refuses arguments that name a server or an archive, but those that name rasters: as
    paths they would be others.
    """
    return _guarded(command, is_place=lambda _: False)


def with_buckets(command: Callable[..., Result]) -> Callable[..., Result]:
    """Likewise, for a command that writes into buckets too."""
    return _guarded(command, is_place=is_store_url)


def _guarded(
    command: Callable[..., Result], is_place: Callable[[str], bool]
) -> Callable[..., Result]:
    names = list(inspect.signature(command).parameters)

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Result:
        for name, value in (*zip(names, arguments, strict=False), *options.items()):
            if name in (*_NO_PATHS, *_RASTERS) or not isinstance(value, str | os.PathLike):
                continue
            if name == "model" and os.fspath(value).startswith(_HUB):
                continue
            is_output = name in _OUTPUTS
            line = output_elsewhere(value) if is_output else named_elsewhere(value)
            if line and not (is_output and is_place(name_of(value))):
                raise ConfigError(line)
        with allow_remote(bool(options.pop("allow_remote", remote_allowed()))):
            return command(*arguments, **options)

    return run


def is_elsewhere(name: str) -> bool:
    """Whether GDAL would look for a name elsewhere than among the files of this machine."""
    return _ELSEWHERE.search(name) is not None


def name_of(path: str | os.PathLike[str]) -> str:
    """A path as the user gave it: `Path` takes slashes out of URLs."""
    name = os.fspath(path)
    return re.sub(r"(?<=\w):/+", "://", name) if names_elsewhere(name) else name


def names_elsewhere(path: str | os.PathLike[str]) -> bool:
    """Whether a path, also one that `Path` has changed, names a server or an archive."""
    return _NAMED.match(os.fspath(path)) is not None and not os.path.lexists(path)


def named_elsewhere(path: str | os.PathLike[str]) -> str | None:
    """A line about a path that the user gave and that is none of this machine; else None."""
    if not names_elsewhere(path):
        return None
    return (
        f"{without_secrets(name_of(path))}: is on a server or in an archive, and this is read from "
        "files of this machine; fetch or unpack it (rasters of predict, vectorize and info may be "
        "https://, s3://, gs:// or az:// themselves, or /vsizip/ARCHIVE.zip/FILE)"
    )


def without_secrets(text: str) -> str:
    """A text without the queries and the users of URLs: signatures and passwords."""
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub("", text))


def output_elsewhere(path: str | os.PathLike[str]) -> str | None:
    """A line about a path for outputs that is none of this machine; else None."""
    if not names_elsewhere(path):
        return None
    return (
        f"{name_of(path)}: is on a server or in an archive, and outputs go into folders of this "
        "machine; geoseg predict alone writes into buckets too (s3://BUCKET/FOLDER, gs://, az://)"
    )


def read_head(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as stream:
        return stream.read(size)


def xml_values(data: bytes) -> list[XMLValue]:
    """All attributes and texts of an XML document, in order.

    UTF-8 is taken for granted, as GDAL does, whatever the document declares. Texts that a comment
    interrupts are several values.

    Raises:
        UnsafeXMLError: it is malformed, too large or too deep, or has a document type, which may
            declare entities.
    """
    if len(data) > MOST_XML:
        raise UnsafeXMLError(f"has more than {MOST_XML >> 20} MB of XML")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # expat would believe these
        raise UnsafeXMLError("is not XML in UTF-8 but in UTF-16")
    document = _Document()
    try:
        document.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise UnsafeXMLError(f"is not readable XML in UTF-8 ({error})") from error
    return document.values


class _Document:
    """The values of a document while it is parsed."""

    def __init__(self) -> None:
        self.values: list[XMLValue] = []
        self._names: list[list[str]] = []
        """Of the open elements: the element's name, or one with each key."""
        self.parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.buffer_size = 2**20
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = lambda _: self._names.pop()
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        # With a handler for each, they end a run of text.
        parser.CommentHandler = lambda _: None
        parser.StartCdataSectionHandler = lambda: None
        parser.EndCdataSectionHandler = lambda: None

    def _start(self, name: str, attributes: list[str]) -> None:
        if len(self._names) == DEEPEST_XML:
            raise UnsafeXMLError(f"has more than {DEEPEST_XML} XML elements within one another")
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        keys = [value for key, value in pairs if key.lower() in ("key", "name")]
        self._names.append([f"{name}:{key}".lower() for key in keys] or [name.lower()])
        self.values += [XMLValue(f"@{key.lower()}", value) for key, value in pairs]

    def _text(self, text: str) -> None:
        if text.strip():
            self.values += [XMLValue(name, text) for name in self._names[-1]]

    @staticmethod
    def _refuse_doctype(*_: object) -> None:
        raise UnsafeXMLError("declares an XML document type, which no raster needs")
