"""Reports that a command has written itself, told from other files of their names."""

from __future__ import annotations

import json
from collections.abc import Sequence

from geoseg.errors import OutputError
from geoseg.places import AnyPath, Companions, existing_files, refuse_folders


def refuse_foreign_report(
    path: AnyPath,
    keys: Sequence[str],
    command: str,
    *,
    companions: Companions = lambda _: (),
    way_out: str = "move it away",
) -> None:
    """Refuse to replace a JSON report, or its companions, that a command did not write.

    Args:
        path: the report.
        keys: what the command's own reports have at their top.
        command: its name, for the message.
        companions: files written with the report.
        way_out: what the message advises besides another ``--out``.

    Raises:
        OutputError: with the first of the files; or one of them is a folder.
    """
    found = existing_files(path, companions)
    refuse_folders(found)
    if found and not _has_json_keys(path, keys):
        raise OutputError(
            f"{found[0]} exists and was not written by geoseg {command}; "
            f"{way_out}, or choose another --out"
        )


def _has_json_keys(path: AnyPath, keys: Sequence[str]) -> bool:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.keys() >= set(keys)
