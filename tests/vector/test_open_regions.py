from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.vector import open_regions as module
from geoseg.vector.open_regions import OpenRegion, in_batches


def region(*corners: int) -> OpenRegion:
    """A region of pieces with so many corners."""
    pieces = [np.zeros((3, count), np.int32) for count in corners]
    return OpenRegion(0, 1, None, 0, 0, list(range(len(pieces))), pieces)


@given(st.lists(st.lists(st.integers(4, 30), min_size=1, max_size=3), max_size=20))
def test_batches_hold_all_regions_in_order_and_few_corners(sizes: list[list[int]]) -> None:
    regions = [region(*each) for each in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CORNERS", 50)
        batches = list(in_batches(regions))
    assert [id(each) for batch in batches for each in batch] == [id(each) for each in regions]
    for batch in batches:
        corners = sum(each.shape[1] for one in batch for each in one.borders)
        assert corners <= 50 or len(batch) == 1
    assert len(batches) <= 1 + sum(map(sum, sizes)) // 20
