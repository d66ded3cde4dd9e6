from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.context.ranet import region_interaction
from geoseg.models.context.ranet.region_interaction import (
    AttentionOptions,
    InteractionWeights,
    exchange_context,
)
from geoseg.models.cost import LiveBytes
from tests.models.plain import ranet as plain
from tests.models.plain.agreement import check_same

KEEP = (lambda x, _: x,) * 2

partitions = st.builds(
    lambda pixels, regions, seed: torch.randint(
        regions, (pixels,), generator=torch.Generator().manual_seed(seed)
    ).unique(return_inverse=True)[1],
    st.integers(1, 24),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)


@settings(max_examples=40, deadline=None)
@given(
    partitions,
    st.builds(
        AttentionOptions,
        st.integers(1, 5),
        st.sampled_from(get_args(InteractionWeights)),
        st.booleans(),
        st.booleans(),
        st.sampled_from([0.3, 1.0]),
        st.booleans(),
        st.booleans(),
    ),
)
def test_context_and_gradients_equal_loops_over_regions(
    labels: torch.Tensor, options: AttentionOptions
) -> None:
    torch.manual_seed(len(labels))
    queries, features = (
        torch.randn(len(labels), 4, dtype=torch.float64, requires_grad=True) for _ in range(2)
    )
    j = torch.rand(len(labels), dtype=torch.float64, requires_grad=True)
    expected = plain.interact(queries, features, j, labels.tolist(), options)
    check_same(
        exchange_context(queries, features, j, labels, options, KEEP),
        expected,
        [queries, features, j],
    )


def test_parts_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    labels = torch.randint(9, (100,))
    x, j = (
        torch.randn(100, 4, dtype=torch.float64, requires_grad=True),
        torch.rand(100, dtype=torch.float64),
    )
    options = AttentionOptions(3, "mean", True, True, 0.5)
    whole = exchange_context(x, x, j, labels, options, KEEP)
    for limit in ("MAX_PRODUCTS", "MAX_FEATURES"):
        monkeypatch.setattr(region_interaction, limit, 1)
    check_same(exchange_context(x, x, j, labels, options, KEEP), whole, [x], 1e-12)


def test_many_small_regions_beside_a_large_one_are_held_some_at_a_time() -> None:
    labels = torch.cat([torch.zeros(2048, dtype=torch.int64), torch.arange(1, 2049)])
    x, j, options = (
        torch.zeros(4096, 512),
        torch.ones(4096),
        AttentionOptions(8, "mean", True, True, 1.0),
    )
    live = LiveBytes([x, j, labels])
    with torch.no_grad(), live:
        exchange_context(x, x, j, labels, options, KEEP)
    assert (
        live.peak <= 128 * 2**20
    )  # 48 MiB of representatives for all blocks, several times over, if held at once


@pytest.mark.parametrize("members", [True, False])
def test_large_products_overflow_nothing(members: bool) -> None:
    torch.manual_seed(0)
    x, j, labels = 300 * torch.randn(60, 8), torch.rand(60), torch.randint(4, (60,))
    options = AttentionOptions(3, "literal", members, members, 1.0)
    assert exchange_context(x, x.requires_grad_(), j, labels, options, KEEP).isfinite().all()
