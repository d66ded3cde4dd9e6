"""Memory of this machine: what is free, what this process holds and gives back; sizes as text."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psutil

FREE_SHARE = 0.6
"""Of the memory that is free, what a run takes that is told nothing."""
_UNITS: dict[str, int] = {"b": 1} | {
    f"{letter}{infix}b": (1024 if infix else 1000) ** power
    for power, letter in enumerate("kmgt", start=1)
    for infix in ("", "i")
}
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_UNLIMITED = 2**60
"""Beyond it a limit is none; the older control groups give the largest number."""
_WORTH_TRIMMING = 64 * 2**20
"""Bytes that a process has grown by since its heap was trimmed."""


def parse_size(text: str) -> int | None:
    """Bytes of a size such as ``2 GiB``, ``2GB`` or ``1500 MB``; None where it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        return None
    return int(float(found[1]) * _UNITS[found[2]])


def size_text(size: float) -> str:
    """Bytes as a size that `parse_size` takes: whole MiB, no fewer than there are."""
    return f"{math.ceil(size / 2**20):,}MiB".replace(",", "")


def free_memory(groups: Path = _CONTROL_GROUPS, own: Path = _OWN_GROUPS) -> int:
    """Bytes that processes can still take on this machine, or in this container.

    Args:
        groups: where control groups are mounted, of either version.
        own: names those of this process.
    """
    return min([int(psutil.virtual_memory().available), *_free_in_groups(groups, own)])


def _free_in_groups(groups: Path, own: Path) -> list[int]:
    """What each control group that bounds memory leaves; a container sees its own as the root."""
    if not own.exists():
        return []
    free = []
    for line in own.read_text(encoding="utf-8").splitlines():
        _, kinds, name = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        root = groups / kinds
        names = ("memory.max", "memory.current", "inactive_file")
        if kinds:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        place = root / name.lstrip("/")
        for folder in (place, *place.parents):
            if not folder.is_relative_to(root):
                break
            free += _free_in(folder, *names)
    return free


def _free_in(folder: Path, most: str, used: str, reclaimable: str) -> list[int]:
    limit = (folder / most).read_text(encoding="utf-8").strip() if (folder / most).exists() else ""
    if not limit.isdigit() or int(limit) >= _UNLIMITED:
        return []
    taken = int((folder / used).read_text(encoding="utf-8"))
    stat = (folder / "memory.stat").read_text(encoding="utf-8")
    cached = dict(line.split() for line in stat.splitlines()).get(reclaimable, "0")
    return [max(0, int(limit) - taken + int(cached))]


def held_memory() -> int:
    """Bytes of memory that this process holds now."""
    return int(_process(os.getpid()).memory_info().rss)


@cache
def _process(number: int) -> psutil.Process:
    """Of this number: psutil takes longer to find a process than to ask it."""
    return psutil.Process(number)


class _Heap:
    trimmed = 0
    """What the process held when its heap was trimmed."""


def trim_heap() -> None:
    """Give memory that was freed back to the system, where the process has grown.

    glibc keeps it for later, so that what one task has held would stand beside the next one's.
    """
    if held_memory() < _Heap.trimmed + _WORTH_TRIMMING:
        return
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
    _Heap.trimmed = held_memory()


@cache
def _malloc_trim() -> Any:
    """The function of glibc; None where it is not there."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
