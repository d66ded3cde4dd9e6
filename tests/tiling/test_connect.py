from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.tiling import connect

COUNT = 9
numbers = st.integers(0, COUNT - 1)


@given(st.lists(st.tuples(numbers, numbers), max_size=15))
def test_each_number_gets_the_least_that_pairs_lead_to(pairs: list[tuple[int, int]]) -> None:
    sets = [{number} for number in range(COUNT)]
    for one, other in pairs:
        merged = sets[one] | sets[other]
        for number in merged:
            sets[number] = merged
    one, other = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    assert connect(COUNT, one, other).tolist() == [min(found) for found in sets]
