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
