"""Workers that are no good: what is changed in their processes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Any, NoReturn

from distributed.versions import get_package_info


def _no(*_: object) -> bool:
    return False


def _denied(*_: object) -> NoReturn:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _older(packages: Iterable[str]) -> dict[str, str | None]:
    known = get_package_info(packages)
    return {name: "0.0.9" if name == "geoseg" else version for name, version in known.items()}


OTHER_KIND: dict[str, Any] = {"geoseg.inference.worker_facts:processor_of": str}
OTHER_VERSION: dict[str, Any] = {
    "geoseg:__version__": "0.0.9",
    "distributed.versions:get_package_info": _older,
}
BLIND: dict[str, Any] = {"os:access": _no}
"""Cannot read any source."""
READ_ONLY: dict[str, Any] = {"os:replace": _denied}
"""Cannot write any file."""
