"""What killed runs have left in an output folder and no other run would remove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from geoseg.files import sweep
from geoseg.inference.parts import PLAN
from geoseg.places import AnyPath, files_in, folders_in, path_below, remove_tree
from geoseg.raster.stored import remove_sources


def remove_leftovers(out: AnyPath, work: AnyPath) -> list[str]:
    """Remove, while the folder is locked, what belongs to no run any more; a line on each source.

    That is: models, tokens and sources for workers; unfinished files in all folders that have
    parts; parts of sources that are gone. A source whose folder is missing too may be on a disk
    that is not mounted.

    Args:
        out: the output folder.
        work: the folder in it that holds the parts.
    """
    for left in files_in(work):
        if fnmatch(left.name, "model-*.safetensors") or left.name.startswith("token-"):
            left.unlink(missing_ok=True)
    remove_sources(work)
    lines = []
    for folder in _part_folders(work):
        sweep(out / path_below(work, folder.parent))
        source = _source_of(folder / PLAN)
        if source is not None and source.parent.is_dir() and not source.exists():
            remove_tree(folder)
            lines.append(f"{source} is gone; its unfinished parts are removed")
    return lines


def _part_folders(work: AnyPath) -> Iterator[AnyPath]:
    """The folders that hold parts, none of which is looked into: there may be very many."""
    for folder in folders_in(work):
        if (folder / PLAN).exists():
            yield folder
        else:
            yield from _part_folders(folder)


def _source_of(plan: AnyPath) -> Path | None:
    """The source that a plan names; None where it cannot be read."""
    try:
        return Path(json.loads(plan.read_text(encoding="utf-8"))["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
