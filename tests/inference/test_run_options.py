"""Where a run takes place and in how much memory: what has no sense is refused."""

from __future__ import annotations

from typing import Any

import pytest

from geoseg.errors import ConfigError
from geoseg.inference.options import PredictOptions


@pytest.mark.parametrize(
    ("given", "size"), [("2 GiB", 2**31), ("1500MB", 15 * 10**8), (7, 7), (None, None)]
)
def test_memory_is_bytes_or_text_with_a_unit(given: Any, size: int | None) -> None:
    assert PredictOptions.from_keywords(max_memory=given).max_memory == size


@pytest.mark.parametrize("given", ["2", "much", "0MB", 0, -1, 1.5, True, "2 GiB 3"])
def test_other_memory_is_refused_with_what_to_give(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"max_memory .*: give a size with its unit, such as 2G"):
        PredictOptions.from_keywords(max_memory=given)


def test_memory_of_a_gpu_is_no_matter_of_a_cpu() -> None:
    assert PredictOptions.from_keywords(max_gpu_memory="2 GiB").max_gpu_memory == 2**31
    with pytest.raises(ConfigError, match="max_gpu_memory is about GPUs; leave it out, or give"):
        PredictOptions.from_keywords(max_gpu_memory="2GiB", device="cpu")


def test_memory_of_workers_elsewhere_is_theirs() -> None:
    with pytest.raises(ConfigError, match="--memory-limit, which counts for them, and leave it"):
        PredictOptions.from_keywords(max_memory="2GiB", scheduler="tcp://a:1")
