"""Small JSON files that say whose they are, with a checksum: damaged ones count as none."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from geoseg.files import write_bytes
from geoseg.places import AnyPath


def read_verified(path: AnyPath, key: str) -> dict[str, Any] | None:
    """What `write_verified` wrote for this key; None where the file is missing or does not verify.

    Args:
        path: of the file.
        key: of what the file is about.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        checksum = document.pop("checksum")
        verified = (document["key"], checksum) == (key, _checksum(json.dumps(document)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return document if verified else None


def write_verified(path: AnyPath, document: Mapping[str, Any], *, sync: bool) -> None:
    """Replace the file in one step.

    Args:
        path: of the file; its folder is made where it is missing.
        document: has a ``key``.
        sync: wait until the disk holds it.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(document)
    content = f'{text[:-1]}, "checksum": "{_checksum(text)}"}}'
    write_bytes(path, content.encode(), sync=sync)


def _checksum(text: str) -> str:
    """8 hexadecimal digits of a document without its own checksum."""
    return f"{zlib.crc32(text.encode()):08x}"
