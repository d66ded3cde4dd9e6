"""The fingerprint of a polygon file whose format has no place for it: a small file beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoseg.vector.vector_file import FINGERPRINT


def read_sidecar(sidecar: Path, path: Path, parts: Sequence[str]) -> str | None:
    """The fingerprint that a sidecar holds; None where it is for another file.

    Args:
        sidecar: the small file.
        path: of the polygon file.
        parts: suffixes of its files whose sizes say that they are those.
    """
    try:
        entry: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
        return str(entry[FINGERPRINT]) if entry["bytes"] == _sizes(path, parts) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_sidecar(sidecar: Path, path: Path, parts: Sequence[str], fingerprint: str) -> None:
    """Write the sidecar of a finished polygon file; see `read_sidecar`."""
    entry = {FINGERPRINT: fingerprint, "bytes": _sizes(path, parts)}
    sidecar.write_text(json.dumps(entry) + "\n", encoding="utf-8")


def _sizes(path: Path, parts: Sequence[str]) -> dict[str, int]:
    return {part: path.with_suffix(part).stat().st_size for part in parts}
