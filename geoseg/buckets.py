"""The clients of buckets, through obstore, whose errors become one line each with what to do."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

from geoseg.errors import ConfigError, OutputError, StoreError

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""The schemes, and the environment variables with the credentials."""
_ADDRESSES = {"s3": " and at AWS_ENDPOINT_URL", "az": " and at AZURE_STORAGE_ENDPOINT"}
"""Variables that name another server than the cloud's own."""
_SILENCE = timedelta(seconds=60)
"""After which a request is repeated."""
PATIENCE = timedelta(seconds=90)
"""For which a request is repeated while its server does not answer; shorter than any lease."""
_MOST_WAIT = timedelta(seconds=5)
"""From one repetition to the next; shorter ones come first."""
_MANY = 1_000
"""Repetitions, more than fit into that time: a server that is away refuses them at once."""
FEW = 2
"""Repetitions where something else waits, or nothing is gained by it."""
_NO_CREDENTIALS = (
    *("latest/api/token", "latest/meta-data", "computeMetadata/v1", "metadata/identity"),
    *("metadata.google.internal", "Account must be specified"),
)
"""In errors of one who has no credentials and asks the machine that lends them to its guests."""
_UNREACHED = "error sending request"
_DENIED = ("403 Forbidden", "401 Unauthorized")
NO_SIGNING = {
    "s3": ("AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE"),
    "gs": ("GS_NO_SIGN_REQUEST", "GOOGLE_SKIP_SIGNATURE"),
    "az": ("AZURE_NO_SIGN_REQUEST", "AZURE_SKIP_SIGNATURE"),
}
"""Variables of buckets that anybody may read: GDAL's, and obstore's."""
_AZURE = {
    "account_name": ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"),
    "account_key": ("AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"),
    "sas_key": ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
}
"""By obstore's settings, likewise."""
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")


class ConflictError(Exception):
    """An object exists, or is not the version that was to be replaced."""


def is_store_url(name: str) -> bool:
    """Whether a name is a URL of a bucket."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in CREDENTIALS


def library() -> Any:
    """The library.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import obstore
    except ImportError as error:
        raise ConfigError(
            "buckets need obstore, which is not installed; pip install 'geoseg[cloud]'"
        ) from error
    return obstore


_away: set[str] = set()
"""Buckets whose server was waited for in vain: until it answers, it is not waited for again."""


def client(bucket: str, tries: int | None = None) -> Any:
    """The client of a bucket, which any thread may use.

    Args:
        bucket: with its scheme.
        tries: repetitions of a request; None: it is repeated for as long as `PATIENCE`.
    """
    if tries is None:
        tries = FEW if bucket in _away else _MANY
    return _client(bucket, tries)


def note_silence(bucket: str, seconds: float) -> None:
    """Note for how long a server has not answered: whoever ends a run is not to wait for it too."""
    if seconds > 0.9 * PATIENCE.total_seconds():
        _away.add(bucket)


def forget_clients() -> None:
    """Make new clients from now on, as the environment has changed."""
    _client.cache_clear()
    _away.clear()


@lru_cache(maxsize=8)
def _client(bucket: str, tries: int) -> Any:
    library()
    from obstore import store

    from_url: Any = store.from_url  # its types tell the kinds of buckets apart
    return from_url(
        bucket,
        config=_from_gdal_variables(bucket.partition(":")[0]),
        # A whole request may take long; what counts is that something comes. Whoever sets an
        # endpoint of http:// means it.
        client_options={
            "timeout": timedelta(hours=1),
            "read_timeout": _SILENCE,
            "allow_http": True,
        },
        retry_config={
            "max_retries": tries,
            "retry_timeout": PATIENCE,
            "backoff": {"max_backoff": _MOST_WAIT, "base": 3},
        },
    )


def _from_gdal_variables(scheme: str) -> dict[str, Any]:
    """The settings of obstore that only GDAL's environment variables name."""
    settings: dict[str, Any] = {}
    if _is_set(NO_SIGNING[scheme][0]):
        settings["skip_signature"] = True
    endpoint = os.environ.get("AWS_S3_ENDPOINT")
    if scheme == "s3" and endpoint and not _s3_endpoint():
        is_plain = os.environ.get("AWS_HTTPS", "YES").upper() in ("NO", "FALSE", "OFF")
        settings["endpoint"] = f"{'http' if is_plain else 'https'}://{endpoint}"
    for name, (gdal, own) in _AZURE.items() if scheme == "az" else ():
        if gdal in os.environ and own not in os.environ:
            settings[name] = os.environ[gdal]
    return settings


def gdal_variables() -> dict[str, str]:
    """The settings of GDAL that only the variables of outputs name: one set of them is enough."""
    settings = {}
    scheme, _, host = (_s3_endpoint() or "").partition("://")
    if host:
        settings["AWS_S3_ENDPOINT"] = host.rstrip("/")
        settings["AWS_HTTPS"] = "NO" if scheme == "http" else "YES"
        settings["AWS_VIRTUAL_HOSTING"] = "FALSE"
    settings |= {gdal: "YES" for gdal, own in NO_SIGNING.values() if _is_set(own)}
    settings |= {gdal: os.environ[own] for gdal, own in _AZURE.values() if own in os.environ}
    return {name: value for name, value in settings.items() if name not in os.environ}


def _s3_endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").upper() in ("YES", "TRUE", "ON", "1")


@contextmanager
def asking(bucket: str, name: str) -> Iterator[None]:
    """Put what obstore raises into geoseg's words, and note whose server does not answer.

    Args:
        bucket: with its scheme.
        name: of what is asked for.

    Raises:
        StoreError: the bucket is missing, denies access or does not answer.
        FileNotFoundError: there is no such object.
        ConflictError: a condition does not hold.
    """
    library()
    from obstore import exceptions

    started = time.monotonic()
    try:
        yield
        _away.discard(bucket)
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
        raise ConflictError(name) from error
    except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
        told = _in_words(bucket, name, error)
        if isinstance(told, StoreError):
            note_silence(bucket, time.monotonic() - started)
        raise told from error


def _in_words(bucket: str, name: str, error: Exception) -> Exception:
    """The error of a request, with what to do."""
    text = str(error).partition("\n\nDebug source")[0]
    scheme = bucket.partition(":")[0]
    if any(words in str(error) for words in _NO_BUCKET):
        return StoreError(f"{bucket}: there is no such bucket; make it, or name another one")
    if any(words in text for words in _NO_CREDENTIALS):
        return StoreError(
            f"{bucket}: no credentials are found; set {CREDENTIALS[scheme]} in the environment, "
            "also of workers"
        )
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such object", name)
    if any(words in text for words in _DENIED):
        return StoreError(
            f"{name}: the server denies access to whom {CREDENTIALS[scheme]} name; let them read, "
            "write, list and delete there",
            cause=f"{bucket} denies access",
        )
    words = " ".join(text.split())
    if isinstance(error, ValueError):
        return OutputError(f"{name}: a bucket takes no such name ({words}); give another one")
    if _UNREACHED in words:
        return StoreError(
            f"{name}: its server cannot be reached ({words[:300]}); look at the network"
            f"{_ADDRESSES.get(scheme, '')}; the same command continues when it can be reached",
            cause=f"{bucket} is away",
        )
    return StoreError(
        f"{name}: the server does not do what it is asked ({words[:300]}); "
        "the same command continues when it does",
        cause=f"{bucket} is away",
    )
