"""What a run leaves, without what differs from one run to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyogrio

_COUNTS = ("windows", "pixels", "uncertain_pixels", "nodata_pixels", "fingerprints")


def outcome(out: Path) -> dict[str, Any]:
    """By name, all that is below an output folder: bytes of files, features, counts of the report.

    Polygon files hold the time at which they were made; a report also tells how it came about.
    """
    return {
        str(path.relative_to(out)): _content(path)
        for path in out.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def _content(path: Path) -> Any:
    if path.is_dir():
        return "an empty folder"
    if path.suffix == ".gpkg":
        _, _, outlines, fields = pyogrio.raw.read(path, layer=path.stem)
        return [outlines.tolist(), *(field.tolist() for field in fields)]
    if path.name == "report.json":
        inputs = json.loads(path.read_text(encoding="utf-8"))["inputs"]
        return {Path(entry["path"]).name: [entry.get(each) for each in _COUNTS] for entry in inputs}
    return path.read_bytes()


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """A line on each file that is there alone, or not there, or another."""
    return [
        f"{name} is {'missing' if name not in found else 'other' if name in wanted else 'left'}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
