from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.tiling.grouping import order_by


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@given(data=st.data(), least=st.sampled_from([0, 100]))
def test_the_order_is_that_of_a_stable_sort(data: st.DataObject, least: int, dtype: type) -> None:
    numbers = data.draw(
        arrays(dtype, st.integers(0, 40), elements=st.integers(least, least + 9).map(dtype))
    )
    assert order_by(numbers).tolist() == np.argsort(numbers, kind="stable").tolist()
