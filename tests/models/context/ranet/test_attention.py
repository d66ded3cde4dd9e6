from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.context.ranet import attention
from geoseg.models.context.ranet.attention import Manner, Weights, interact
from geoseg.models.context.ranet.region_layout import lay_out
from geoseg.models.cost import ForwardCounter
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
        Manner,
        st.integers(1, 5),
        st.sampled_from(get_args(Weights)),
        st.booleans(),
        st.booleans(),
        st.sampled_from([0.3, 1.0]),
    ),
)
def test_context_and_gradients_equal_loops_over_regions(
    labels: torch.Tensor, manner: Manner
) -> None:
    torch.manual_seed(len(labels))
    asking, given = (
        torch.randn(len(labels), 4, dtype=torch.float64, requires_grad=True) for _ in range(2)
    )
    j = torch.rand(len(labels), dtype=torch.float64, requires_grad=True)
    expected = plain.interact(asking, given, j, labels.tolist(), manner)
    check_same(interact(asking, given, j, labels, manner, KEEP), expected, [asking, given, j])


def test_parts_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    labels = torch.randint(9, (100,))
    x, j = (
        torch.randn(100, 4, dtype=torch.float64, requires_grad=True),
        torch.rand(100, dtype=torch.float64),
    )
    manner = Manner(3, "mean", True, True, 0.5)
    whole = interact(x, x, j, labels, manner, KEEP)
    for limit in ("CHUNK", "FEATURES"):
        monkeypatch.setattr(attention, limit, 1)
    check_same(interact(x, x, j, labels, manner, KEEP), whole, [x], 1e-12)


def test_many_small_regions_beside_a_large_one_are_held_some_at_a_time() -> None:
    labels = torch.cat([torch.zeros(2048, dtype=torch.int64), torch.arange(1, 2049)])
    x, j, manner = torch.zeros(4096, 512), torch.ones(4096), Manner(8, "mean", True, True, 1.0)
    live = ForwardCounter([x, j, labels])
    with torch.no_grad(), live:
        interact(x, x, j, labels, manner, KEEP)
    assert (
        live.peak_bytes <= 128 * 2**20
    )  # 48 MiB of representatives for all blocks, several times over, if held at once


@given(partitions, st.integers(1, 5), st.booleans())
def test_layout_holds_each_pixel_once_and_the_best_of_each_region(
    labels: torch.Tensor, count: int, ties: bool
) -> None:
    scores = torch.zeros(len(labels)) if ties else torch.rand(len(labels))
    layout = lay_out(labels, scores, count)
    assert layout.element.flatten()[layout.slot].tolist() == list(range(len(labels)))
    assert layout.element.numel() <= 2 * len(labels)
    assert len(layout.region) <= 2 * len(layout.blocks)
    assert torch.equal(layout.region[layout.slot // layout.element.shape[1]], labels)
    chosen = []
    for q, (row, valid) in enumerate(zip(layout.representatives, layout.valid, strict=True)):
        members = sorted(
            (labels == q).nonzero().flatten().tolist(), key=lambda i: (-float(scores[i]), i)
        )
        assert row[valid].tolist() == members[:count]
        chosen += members[:count]
    assert sorted(layout.element[layout.others].tolist() + chosen) == list(range(len(labels)))


@pytest.mark.parametrize("members", [True, False])
def test_large_products_overflow_nothing(members: bool) -> None:
    torch.manual_seed(0)
    x, j, labels = 300 * torch.randn(60, 8), torch.rand(60), torch.randint(4, (60,))
    manner = Manner(3, "literal", members, members, 1.0)
    assert interact(x, x.requires_grad_(), j, labels, manner, KEEP).isfinite().all()
