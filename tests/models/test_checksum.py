"""A checksum of tensors and text sees each change of either, and nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.models.checksum import checksum

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(5, dtype=torch.int64)}


@given(st.sampled_from("ab"), st.integers(0, 63))
def test_each_bit_counts(name: str, bit: int) -> None:
    damaged = TENSORS[name].clone()
    flat = damaged.flatten().view(torch.uint8)
    flat[bit // 8] ^= 1 << bit % 8
    changed = flat.view(damaged.dtype).reshape(damaged.shape)
    assert checksum({**TENSORS, name: changed}, "") != checksum(TENSORS, "")


@pytest.mark.parametrize(
    "other",
    [
        {"a": TENSORS["a"]},
        {"c": TENSORS["a"], "b": TENSORS["b"]},
        {"a": TENSORS["b"], "b": TENSORS["a"]},
        {**TENSORS, "a": TENSORS["a"].reshape(3, 2)},
        {**TENSORS, "a": TENSORS["a"].view(torch.int32)},
    ],
)
def test_names_shapes_and_types_count(other: dict[str, torch.Tensor]) -> None:
    assert checksum(other, "") != checksum(TENSORS, "")


def test_the_text_counts_and_the_order_of_the_tensors_does_not() -> None:
    assert checksum(TENSORS, "x") != checksum(TENSORS, "y")
    assert checksum(dict(reversed(TENSORS.items())), "x") == checksum(TENSORS, "x")
    transposed = TENSORS["a"].T.contiguous().T  # the same values, laid out otherwise
    assert checksum({**TENSORS, "a": transposed}, "x") == checksum(TENSORS, "x")
