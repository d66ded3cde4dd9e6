"""What is known of a raster elsewhere before GDAL opens it: one small request, or none.

A server says what it has: size, entity tag, date. The answer is kept until the next look.
"""

from __future__ import annotations

import os
import ssl
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from geoseg.buckets import CREDENTIALS, NO_SIGNING, is_store_url
from geoseg.errors import ConfigError, SourceError, StoreError, one_line_reason
from geoseg.foreign import without_secrets
from geoseg.places import any_path
from geoseg.remote import RemotePath
from geoseg.report import shorten
from geoseg.stores import StorePath

_HEAD = 4096
"""Bytes; enough to know a format."""
_SILENCE = 30.0
"""Seconds without an answer, after which a request is repeated."""
_PASSING = (408, 429, 500, 502, 503, 504)
"""Answers of servers that may be others soon."""
_DENIED = (401, 403)
_EMPTY = "the file is empty (0 bytes); copy or export it again"
_KEPT: dict[str, RemoteLook] = {}


class RemoteLook(NamedTuple):
    """An image as it was once."""

    size: int | None
    """Bytes; None within an archive on a server, which does not say it."""
    version: str
    """Differs after the image was replaced."""
    changed: float
    """When, in seconds since 1970; 0 where it is not told."""
    head: bytes | None
    """The first bytes, None likewise."""


def look_again(path: RemotePath) -> RemoteLook:
    """An image as it is now.

    Raises:
        SourceError: it is not there, is not given to this user, or cannot be read by parts; or the
            server does not answer.
    """
    if not path.on_server:
        found = _look_into_archive(path)
    elif is_store_url(path.place):
        found = _look_into_bucket(path)
    else:
        found = _look_at_url(path)
    if path.on_server and path.member:
        found = RemoteLook(None, found.version, found.changed, None)
    _KEPT[path.gdal] = found
    return found


def last_look(path: RemotePath) -> RemoteLook:
    """An image as it was at the last look of this process.

    Raises:
        SourceError: as `look_again`.
    """
    return _KEPT.get(path.gdal) or look_again(path)


def retry_settings() -> tuple[int, float]:
    """How often a request is repeated and after how many seconds first, by GDAL's variables."""
    settings = os.environ.get("GDAL_HTTP_MAX_RETRY", ""), os.environ.get("GDAL_HTTP_RETRY_DELAY")
    try:
        return int(settings[0] or 4), float(settings[1] or 0.5)
    except ValueError as error:
        raise ConfigError(
            f"GDAL_HTTP_MAX_RETRY={settings[0]}, GDAL_HTTP_RETRY_DELAY={settings[1]}: give numbers"
        ) from error


def _look_at_url(path: RemotePath) -> RemoteLook:
    tries, delay = retry_settings()
    for left in reversed(range(tries + 1)):
        try:
            return _request(path)
        except _PassingError as error:
            if not left:
                raise SourceError(
                    f"{path}: the server does not answer ({error}); "
                    "the same command continues when it does"
                ) from None
        time.sleep(delay)
        delay *= 2
    raise AssertionError


class _PassingError(Exception):
    """A request may be repeated."""


def _request(path: RemotePath) -> RemoteLook:
    with _in_words(path):
        secure = urlsplit(path.place).scheme.lower() == "https"
        opener = build_opener(*([HTTPSHandler(context=_context())] if secure else []))
        with opener.open(_request_for(path.place), timeout=_SILENCE) as answer:
            headers = answer.headers
            total = headers.get("Content-Range", "").rpartition("/")[2]
            if total == "0" or headers.get("Content-Length") == "0":
                raise SourceError(f"{path}: {_EMPTY}")
            if answer.status != 206 or not total.isdigit():
                raise SourceError(
                    f"{path}: its server sends whole files only, no parts of them (byte ranges); "
                    "download it"
                )
            tag = headers.get("ETag", "").removeprefix("W/")
            date = headers.get("Last-Modified", "")
            head = answer.read()
            version = f"{tag or date or head.hex()} {total}"
            return RemoteLook(int(total), version, _seconds(date), head)
    raise AssertionError


def _request_for(url: str) -> Request:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    plain = parts._replace(netloc=host, fragment="").geturl()
    request = Request(  # noqa: S310 - http or https
        quote(plain, safe="%/:?=&+$,;@!*'()[]~"), headers={"Range": f"bytes=0-{_HEAD - 1}"}
    )
    # Not sent on to other hosts that the server may lead to.
    for name, value in _own_headers(unquote(user)).items():
        request.add_unredirected_header(name, value)
    return request


def _own_headers(user: str) -> Mapping[str, str]:
    """What GDAL's variables say of who asks."""
    asked = os.environ.get
    lines = asked("GDAL_HTTP_HEADERS", "").replace("\r", "\n").split("\n")
    if file := asked("GDAL_HTTP_HEADER_FILE"):
        try:
            lines += Path(file).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"GDAL_HTTP_HEADER_FILE={file}: {error.strerror}") from error
    pairs = [line.partition(":") for line in lines if ":" in line]
    headers = {name.strip(): value.strip() for name, _, value in pairs}
    user = user or asked("GDAL_HTTP_USERPWD", "")
    if user:
        headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
    elif token := asked("GDAL_HTTP_BEARER"):
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _context() -> ssl.SSLContext:
    """As GDAL checks certificates."""
    if os.environ.get("GDAL_HTTP_UNSAFESSL", "").upper() in ("YES", "TRUE", "ON", "1"):
        return ssl._create_unverified_context()  # noqa: S323 - as the user says
    files = (os.environ.get(name) for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    return ssl.create_default_context(cafile=next(filter(None, files), None))


@contextmanager
def _in_words(path: RemotePath) -> Iterator[None]:
    """Put what a request raises into geoseg's words, without the URL that it may hold."""
    try:
        yield
    except HTTPError as error:
        error.close()
        if error.code in _PASSING:
            raise _PassingError(f"HTTP {error.code}") from None
        raise SourceError(f"{path}: {_answer(error.code, error.headers)}") from None
    except SourceError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        words = without_secrets(one_line_reason(reason))
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise SourceError(
                f"{path}: its server cannot be trusted ({words}); CURL_CA_BUNDLE names a file of "
                "those who can"
            ) from None
        if isinstance(error, ValueError | InvalidURL):
            raise SourceError(f"{path}: no address ({words}); check it") from None
        raise _PassingError(words) from None


def _answer(code: int, headers: Any) -> str:
    if code in _DENIED:
        return (
            f"the server denies access (HTTP {code}); a signed URL may have run out: make a new "
            "one, or set GDAL_HTTP_USERPWD or GDAL_HTTP_BEARER in the environment, also of workers"
        )
    if code in (404, 410):
        return f"there is no such file on the server (HTTP {code}); check the address"
    if code == 416 and headers.get("Content-Range", "").endswith("/0"):
        return _EMPTY
    return f"the server does not give it (HTTP {code}); check the address"


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return 0.0


def _look_into_bucket(path: RemotePath) -> RemoteLook:
    place = any_path(path.place)
    assert isinstance(place, StorePath)  # noqa: S101
    try:
        meta, head = place.head(_HEAD, tries=retry_settings()[0])
    except FileNotFoundError:
        raise SourceError(
            f"{path}: there is no such object; check the name, and name files: no folder is listed"
        ) from None
    except StoreError as error:
        words = str(error)
        if "denies access" in words:
            scheme = path.place.partition(":")[0].lower()
            words = f"{path}: the server denies access to whom {CREDENTIALS[scheme]} name"
            words += "; let them read it"
        elif "no credentials" in words:
            words += f"; {NO_SIGNING[path.place[:2].lower()][0]}=YES reads a public bucket"
        raise SourceError(words) from None
    version = f"{meta['e_tag'] or meta['version'] or meta['last_modified']} {meta['size']}"
    return RemoteLook(int(meta["size"]), version, meta["last_modified"].timestamp(), head)


def _look_into_archive(path: RemotePath) -> RemoteLook:
    try:
        with zipfile.ZipFile(path.place) as archive:
            if not path.member or path.member.endswith("/"):
                raise SourceError(_no_member(path, archive.namelist()))
            facts = archive.getinfo(path.member)
            with archive.open(facts) as stream:
                head = stream.read(_HEAD)
    except KeyError:
        raise SourceError(f"{path}: there is no such file in the archive; check it") from None
    except SourceError:
        raise
    except OSError as error:
        words = error.strerror or one_line_reason(error)
        raise SourceError(f"{path}: {path.place}: {words}; check the path") from error
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        words = one_line_reason(error)
        raise SourceError(f"{path}: cannot be read in its archive ({words}); unpack it") from error
    date = datetime(*facts.date_time, tzinfo=UTC).timestamp()
    return RemoteLook(facts.file_size, f"{facts.CRC:08x} {facts.file_size}", date, head)


def _no_member(path: RemotePath, names: list[str]) -> str:
    files = shorten(name for name in names if not name.endswith("/"))
    return f"{path}: names an archive; name one of its files ({files}): /vsizip/ARCHIVE/FILE"
