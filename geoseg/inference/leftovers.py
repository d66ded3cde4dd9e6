"""What killed runs have left in an output folder and no other run would remove."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from geoseg.files import sweep
from geoseg.inference.parts import PLAN


def remove_leftovers(out: Path, work: Path) -> list[str]:
    """Remove, while the folder is locked, what belongs to no run any more; a line on each source.

    That is: models and tokens for workers; unfinished files in all folders that have parts; parts
    of sources that are gone. A source whose folder is missing too may be on a disk that is not
    mounted.

    Args:
        out: the output folder.
        work: the folder in it that holds the parts.
    """
    for left in (*work.glob("model-*.safetensors"), *work.glob("token-*")):
        left.unlink(missing_ok=True)
    lines = []
    for plan in sorted(work.rglob(PLAN)):
        sweep(out / plan.parent.parent.relative_to(work))
        source = _source_of(plan)
        if source is not None and source.parent.is_dir() and not source.exists():
            shutil.rmtree(plan.parent)
            lines.append(f"{source} is gone; its unfinished parts are removed")
    return lines


def _source_of(plan: Path) -> Path | None:
    """The source that a plan names; None where it cannot be read."""
    try:
        return Path(json.loads(plan.read_text(encoding="utf-8"))["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
