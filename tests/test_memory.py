"""Memory of the machine as the kernel tells it; sizes as people write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg import memory
from geoseg.memory import free_memory, held_memory, parse_size, size_text, trim_heap


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2 GiB", 2**31),
        ("2GB", 2 * 10**9),
        (" 1500 mb ", 15 * 10**8),
        ("1.5GiB", 3 * 2**29),
        ("512MiB", 2**29),
        ("7b", 7),
        ("1TiB", 2**40),
        ("2", None),
        ("GiB", None),
        ("-2GiB", None),
        ("2 G", None),
        ("2,5GiB", None),
        ("1e3MB", None),
        ("nan GiB", None),
        ("", None),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@given(st.integers(1, 2**44))
def test_a_printed_size_is_read_as_no_less_and_hardly_more(size: int) -> None:
    read = parse_size(size_text(size))
    assert read is not None
    assert size <= read < size + 2**20


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_the_tightest_control_group_above_a_process_bounds_what_is_free(tmp_path: Path) -> None:
    own, groups = tmp_path / "own", tmp_path / "groups"
    stat = "anon 5\ninactive_file 100\nfile 300"
    of = {"memory__current": 900, "memory__stat": stat}
    group(groups / "a/b", memory__max="max", **of)
    group(groups / "a", memory__max=1000, **of)
    group(groups, memory__max=2000, **of)
    own.write_text("0::/a/b\n")
    assert free_memory(groups, own) == 1000 - 900 + 100
    own.write_text("0::/\n")
    assert free_memory(groups, own) == 2000 - 900 + 100
    group(groups, memory__max=10, **of)
    assert free_memory(groups, own) == 0


def test_the_older_control_groups_count_too_and_no_limit_is_none(tmp_path: Path) -> None:
    own, groups = tmp_path / "own", tmp_path / "groups"
    of = {"memory__usage_in_bytes": 50, "memory__stat": "total_inactive_file 20"}
    group(groups / "memory/box", memory__limit_in_bytes=9223372036854771712, **of)
    group(groups / "memory", memory__limit_in_bytes=500, **of)
    own.write_text("5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n")
    assert free_memory(groups, own) == 500 - 50 + 20
    group(groups / "memory", memory__limit_in_bytes=9223372036854771712)
    free = free_memory(groups, own)
    assert 0.5 * psutil.virtual_memory().available < free <= psutil.virtual_memory().total
    assert free_memory(groups, tmp_path / "nothing") > 2**20


def test_what_was_freed_is_given_back_once_a_process_has_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory._Heap, "trimmed", 0)
    trim_heap()
    before = held_memory()
    small = [np.ones(2**14, np.uint8) for _ in range(12_000)]  # none is mapped by itself
    assert held_memory() > before + 150 * 2**20
    del small[:-1]  # the last one keeps the heap's end
    trim_heap()
    assert held_memory() < before + 80 * 2**20
    calls: list[int] = []
    monkeypatch.setattr(memory, "_malloc_trim", lambda: calls.append)
    trim_heap()
    assert calls == [], "it has not grown since"
