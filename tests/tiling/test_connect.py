from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.tiling import connect

COUNT = 9
numbers = st.integers(0, COUNT - 1)


@given(st.lists(st.tuples(numbers, numbers), max_size=15))
def test_sets_are_what_pairs_lead_to_numbered_by_their_least_members(
    pairs: list[tuple[int, int]],
) -> None:
    sets = [{number} for number in range(COUNT)]
    for one, other in pairs:
        merged = sets[one] | sets[other]
        for number in merged:
            sets[number] = merged
    least = sorted({min(found) for found in sets})
    one, other = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    count, found = connect(COUNT, one, other)
    assert count == len(least)
    assert found.tolist() == [least.index(min(members)) for members in sets]


def test_nothing_forms_no_set() -> None:
    count, found = connect(0, np.zeros(0, np.int32), np.zeros(0, np.int32))
    assert (count, found.size) == (0, 0)
