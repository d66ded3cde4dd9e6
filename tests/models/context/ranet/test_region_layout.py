from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.models.context.ranet.region_layout import lay_out

partitions = st.builds(
    lambda pixels, regions, seed: torch.randint(
        regions, (pixels,), generator=torch.Generator().manual_seed(seed)
    ).unique(return_inverse=True)[1],
    st.integers(1, 24),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)


@given(partitions, st.integers(1, 5), st.booleans())
def test_layout_holds_each_pixel_once_and_the_best_of_each_region(
    labels: torch.Tensor, count: int, ties: bool
) -> None:
    scores = torch.zeros(len(labels)) if ties else torch.rand(len(labels))
    layout = lay_out(labels, scores, count)
    assert layout.pixel.flatten()[layout.slot].tolist() == list(range(len(labels)))
    assert layout.pixel.numel() <= 2 * len(labels)
    assert len(layout.region) <= 2 * len(layout.rows)
    assert torch.equal(layout.region[layout.slot // layout.pixel.shape[1]], labels)
    chosen = []
    for q, (row, is_valid) in enumerate(zip(layout.representatives, layout.is_valid, strict=True)):
        members = sorted(
            (labels == q).nonzero().flatten().tolist(), key=lambda i: (-float(scores[i]), i)
        )
        assert row[is_valid].tolist() == members[:count]
        chosen += members[:count]
    assert sorted(layout.pixel[layout.is_other].tolist() + chosen) == list(range(len(labels)))


def test_rows_are_as_long_as_a_region_on_average_and_no_longer_than_128() -> None:
    small = torch.arange(12) // 3
    assert lay_out(small, torch.zeros(12), 2).pixel.shape == (4, 3)
    assert lay_out(torch.zeros(1000, dtype=torch.int64), torch.zeros(1000), 2).pixel.shape == (
        8,
        128,
    )


@given(partitions, st.integers(1, 5))
def test_there_are_as_many_representatives_as_the_largest_region_has(
    labels: torch.Tensor, count: int
) -> None:
    layout = lay_out(labels, torch.rand(len(labels)), count)
    sizes = labels.bincount().clamp(max=count)
    assert layout.representatives.shape[1] == sizes.max()
    assert torch.equal(layout.is_valid.sum(1), sizes)
    assert layout.numbers[layout.is_valid].tolist() == list(range(int(sizes.sum())))
    assert 0 <= layout.numbers.min() <= layout.numbers.max() < sizes.sum()


@given(partitions, st.integers(1, 8))
def test_parts_are_the_layout_in_order(labels: torch.Tensor, limit: int) -> None:
    layout = lay_out(labels, torch.rand(len(labels)), 2)
    parts = layout.split(limit)
    for name in ("pixel", "is_other", "rows", "representatives", "is_valid"):
        whole = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(whole, getattr(layout, name))
    first = 0
    for part in parts:
        rows = len(part.region)
        assert torch.equal(part.region, torch.arange(len(part.rows)).repeat_interleave(part.rows))
        last_row = first + rows - 1
        # A part has the regions that end in one run of `limit` rows.
        assert (last_row // limit) == ((first + int(part.rows[0]) - 1) // limit)
        first += rows
    assert len(parts) == len((layout.rows.cumsum(0) - 1).div(limit, rounding_mode="floor").unique())


def test_the_scores_of_equals_and_gradients_do_not_matter_to_the_layout() -> None:
    scores = torch.tensor([1.0, 2.0, 2.0, 0.0], requires_grad=True)
    layout = lay_out(torch.tensor([0, 0, 0, 0]), scores, 2)
    assert layout.representatives.tolist() == [[1, 2]]
