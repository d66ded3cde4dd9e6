"""Workers that are no good: what is changed in their processes."""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

from distributed.versions import _version_cached as known_version


def _no(*_: object) -> bool:
    return False


def _denied(*_: object) -> NoReturn:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _older(package: str) -> str | None:
    return "0.0.9" if package == "geoseg" else known_version(package)


OTHER_KIND: dict[str, Any] = {"geoseg.inference.worker:processor_of": str}
OTHER_VERSION: dict[str, Any] = {
    "geoseg:__version__": "0.0.9",
    "distributed.versions:_version_cached": _older,
}
BLIND: dict[str, Any] = {"os:access": _no}
"""Cannot read any source."""
READ_ONLY: dict[str, Any] = {"os:replace": _denied}
"""Cannot write any file."""
